// trainyard average: averages a run's last checkpoints into one that can be evaluated, predict, or initialize a run.

#include "checkpoint/average.h"

#include <fmt/ranges.h>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/run_config.h"
#include "commands/command.h"
#include "report/run_record.h"
#include "util/count_of.h"
#include "util/output.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

class AverageCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("run", run_, "a run's folder", {.required = true});
    arguments.add("--last", last_, "number of newest checkpoints to average; by default checkpoint.keep of the run",
                  {.range = {{2, 1'000'000}}});
  }

  bool product_is_output() const override { return false; }

  bool uses(const std::string& /*key*/) const override { return false; }

  int run(const Config& /*config*/) override {
    if (!fs::exists(run_)) throw UsageError("average", "there is no run {}: no such file or folder", run_);
    require_run_folder(run_, "average");
    std::vector<fs::path> checkpoints = step_folders(fs::path(run_) / "checkpoints");
    const std::size_t count = number_of(checkpoints);
    checkpoints.erase(checkpoints.begin(), checkpoints.end() - static_cast<std::ptrdiff_t>(count));
    const fs::path output = fs::path(run_) / "averaged";
    save_checkpoint(output, average_of(checkpoints), /*best=*/false, {});
    prune(output, 1);
    std::vector<std::string> names;
    for (const fs::path& path : checkpoints) names.push_back(path.filename().string());
    print("averaged {}: {}\n  {}\n", count_of(names.size(), "checkpoint"), fmt::format("{}", fmt::join(names, ", ")),
          (output / "last").string());
    return 0;
  }

 private:
  // How many to average: by default those that the run keeps as the newest, without an older one that is the best.
  std::size_t number_of(const std::vector<fs::path>& checkpoints) const {
    constexpr std::size_t least = 2;
    const std::size_t there = checkpoints.size();
    const std::size_t kept =
        there == 0 ? least : static_cast<std::size_t>(read_config(checkpoints.back()).checkpoint.keep);
    if (last_ == unset && kept < least) {
      throw UsageError("average",
                       "{} keeps its newest checkpoint alone (checkpoint.keep = 1), 2 are to be averaged; "
                       "train with checkpoint.keep = 2{}",
                       run_, there > 1 ? ", or add the best one with --last 2" : "");
    }
    const std::size_t wanted =
        last_ == unset ? std::max(std::min(kept, there), least) : static_cast<std::size_t>(last_);
    if (there >= wanted) return wanted;
    throw UsageError("average", "{} has {}, {} are to be averaged; train {}", run_,
                     there == 0 ? "no checkpoint" : count_of(there, "checkpoint"), wanted,
                     there == 0 || kept >= wanted ? "more epochs" : fmt::format("with checkpoint.keep = {}", wanted));
  }

  static constexpr int unset = -1;

  std::string run_;
  int last_ = unset;
};

const CommandRegistry::Registration registered{"average", "average the weights of a run's last checkpoints",
                                               [] { return std::make_unique<AverageCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
