// trainyard check: is this machine fit to train, and if not, what is to be done.

#include "check/check.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/facts_json.h"
#include "check/probe_process.h"
#include "check/render.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "util/system.h"

namespace trainyard {
namespace {

class CheckCommand : public Command {
 public:
  void bind(CLI::App& subcommand) override {
    subcommand.add_flag("--full", full_, "more probes: half precision, memory, copies");
    subcommand.add_flag("--json", json_, "facts and findings as JSON");
    subcommand.add_option("--facts", facts_, "diagnose the facts of another machine, as --json wrote them")
        ->check(CLI::ExistingFile);
    // How the check runs itself for each GPU; not for people.
    subcommand.add_option("--probe-device", probe_device_)->group("");
  }

  int run(const Config& config) override {
    if (probe_device_ >= 0) return run_probe_child(probe_device_, full_, stdout);
    const Needs needs = needs_of(config);
    const CheckResult result = facts_.empty() ? run_check(needs, {.full = full_})
                                              : judge(facts_from_json(read_text_file(facts_, "check")), needs);
    if (json_) {
      fmt::print("{}\n", to_json(result).dump(2));
    } else {
      fmt::print("{}", render_full(result, wants_colour(STDOUT_FILENO)));
    }
    return static_cast<int>(exit_code(result));
  }

 private:
  bool full_ = false;
  bool json_ = false;
  std::string facts_;
  int probe_device_ = -1;
};

const CommandRegistry::Registration registered{"check", "look whether this machine is fit to train",
                                               [] { return std::make_unique<CheckCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
