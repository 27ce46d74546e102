// trainyard check: checks whether this machine is fit to train, and if not, what to do.

#include "check/check.h"

#include <filesystem>

#include <unistd.h>

#include "check/facts_json.h"
#include "check/one_thread.h"
#include "check/render.h"
#include "commands/columns.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "loader/open_pool.h"
#include "training/run_folder.h"
#include "training/saved_run.h"
#include "training/trained_model.h"
#include "util/output.h"
#include "util/printable.h"
#include "util/text_input.h"

namespace trainyard {
namespace {

constexpr std::size_t max_facts = 4 << 20;  // bytes, the limit of recorded_from_json()

namespace fs = std::filesystem;

// The result of opening the dataset as the loader would.
struct DataLook {
  std::vector<SplitInfo> splits;  ///< none if it cannot be read
  std::string error;              ///< why it cannot be read
};

DataLook look_at_data(const Config& config) {
  try {
    return {.splits = describe(dataset_factory(config)()), .error = {}};
  } catch (const Error& error) {
    return {.splits = {}, .error = error.what()};
  }
}

void add_shared_memory(const Config& config, const std::vector<SplitInfo>& splits, Needs& needs) {
  if (splits.empty() || config.loader.workers == 0) return;  // the loader then needs none
  const ArenaShape shape = arena_shape(pool_options(config), splits);
  needs.shared_memory = Arena::bytes(shape);
  needs.shared_memory_least = Arena::least_bytes(shape);
}

// Why a run with these settings could not save its checkpoints; empty if it could. The number of checkpoints is
// irrelevant.
std::string why_not_saved(const Config& config, const std::vector<SplitInfo>& splits) {
  if (splits.empty()) return {};
  const SplitInfo& data = splits.at(static_cast<std::size_t>(Split::train));
  const auto task = make_task(config.task, task_data(data), at::kCPU);
  const auto model = new_model(config.model, task->model_input(), at::kCPU);
  const auto optimizer = make_optimizer(config.optimizer, *model);
  try {
    prove_saving_of(config, splits, task->monitor(), *model, *optimizer,
                    fs::path(config.run.dir) / run_name(config) / "checkpoints");
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

class CheckCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("--full", full_, "also test memory, copies, and several GPUs together");
    arguments.add("--verbose", verbose_,
                  "show every probe, library and variable, and the names of host, user and GPUs");
    arguments.add("--json", json_, "print facts, probes and findings as JSON");
    arguments.add("--facts", facts_, "diagnose another machine from a file written with --json; - reads standard input",
                  {.excludes = "--full"});
    arguments.add("--error", error_, "explain an error message, e.g. a whole line printed by Docker",
                  {.excludes = "--json"});
  }

  int run(const Config& config) override {
    if (!error_.empty()) return explain(config);
    const CheckResult result = facts_.empty() ? look(config) : judge_recorded(config);
    if (json_) {
      write_output(to_json_text(result));
    } else {
      write_output(render_full(result, render_options()));
    }
    return static_cast<int>(exit_code(result));
  }

 private:
  RenderOptions render_options() const {
    return {.colour = wants_colour(STDOUT_FILENO), .verbose = verbose_, .columns = terminal_columns()};
  }

  CheckResult look(const Config& config) const {
    const OneThread one_thread;  // because run_check forks
    Needs needs = needs_of(config);
    const DataLook data = look_at_data(config);
    add_shared_memory(config, data.splits, needs);
    return run_check(needs, {.full = full_,
                             .names = verbose_,
                             .data_error = data.error,
                             .saving_error = why_not_saved(config, data.splits)});
  }

  CheckResult judge_recorded(const Config& config) const {
    Recorded recorded = recorded_from_json(facts_text(), printable(facts_));
    const Needs now = needs_of(config);
    if (!recorded.needs) return judge(std::move(recorded.facts), now);
    return judge(std::move(recorded.facts), with_given(*recorded.needs, now, given_settings));
  }

  // An unreadable file is the same mistake as a file with other content.
  std::string facts_text() const {
    try {
      return read_text_input(facts_, "check", max_facts);
    } catch (const RunError& error) {
      throw_error(ExitCode::usage, error.what());
    }
  }

  int explain(const Config& config) const {
    const CheckResult known = facts_.empty() ? CheckResult{needs_of(config), {}, {}} : judge_recorded(config);
    const std::string& device = known.needs.device;
    const auto found = explain_error(known.facts, known.needs, device.starts_with("cuda:") ? device : "cuda:0", error_);
    if (!found)
      throw UsageError("check", "no rule knows the words '{}'; docs/troubleshooting.md has all rules",
                       printable(error_));
    write_output(render_finding(*found, render_options()));
    return static_cast<int>(ExitCode::machine_not_fit);
  }

  bool full_ = false;
  bool json_ = false;
  bool verbose_ = false;
  std::string facts_;
  std::string error_;
};

const CommandRegistry::Registration registered{"check", "check whether this machine is fit to train",
                                               [] { return std::make_unique<CheckCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
