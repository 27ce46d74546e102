// trainyard train: trains the model of a configuration in runs/<name>/.

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/render.h"
#include "commands/build_report.h"
#include "commands/columns.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "commands/rank_facts.h"
#include "commands/several_gpus.h"
#include "commands/train_summary.h"
#include "distributed/outcome.h"
#include "distributed/process_group.h"
#include "distributed/rank.h"
#include "distributed/require_same.h"
#include "loader/open_pool.h"
#include "loader/split_summary.h"
#include "training/dry_run.h"
#include "training/stop_signal.h"
#include "training/trainer.h"
#include "util/atomic_file.h"
#include "util/json_text.h"
#include "util/log.h"
#include "util/output.h"
#include "util/process_name.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

class TrainCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    const std::string group = "looking into a run";
    arguments.add("--train.fast_dev_run", debug_.fast_dev_run,
                  "train one epoch of 3 batches with evaluation and report, in runs/scratch/", {.group = group});
    arguments.add("--train.overfit_batches", debug_.overfit_batches,
                  "train on this many batches again and again, in runs/scratch/",
                  {.range = {{1, 1'000'000}}, .group = group});
    arguments.add("--train.profile", debug_.profile,
                  "steps to trace, e.g. 10:15, into the run's trace.json, for ui.perfetto.dev", {.group = group});
    arguments.add("--train.dry_run", debug_.dry_run,
                  "show parameters, a step's memory and a batch's images; train nothing", {.group = group});
  }

  bool product_is_output() const override { return false; }

  int run(const Config& given) override {
    if (!debug_.profile.empty()) parse_step_range(debug_.profile);
    refuse_resume_in_scratch(given);
    const Rank rank = rank_of_process();
    end_with_launcher();
    CheckOptions check_options;
    if (rank.launcher.empty() && !debug_.dry_run) {
      const SeveralGpus several = run_on_several_gpus(given);
      if (several.exit_code) return *several.exit_code;
      check_options.driver_failure = several.driver_failure;
    }
    warn_of_restarts(given.distributed, rank);
    Config config = given;
    if (debug_.fast_dev_run) shorten(config);
    const auto alone_so_far = [&](auto work) { return before_connecting(rank, config.distributed.timeout, work); };
    // Forks, so before CUDA and any thread.
    WorkerPool pool = alone_so_far([&] { return open_pool(config, rank_pool_options(config, rank)); });
    if (!rank.alone()) set_process_name(fmt::format("rank {} of {}", rank.rank, rank.world_size));
    RunFolder folder;
    CheckResult check;
    const at::Device device = alone_so_far([&] {
      if (rank.is_first() && rank.restarts == 0) folder = choose_folder(config);
      check = run_check(needs_of(config, rank), check_options);
      if (rank.is_first()) {
        write_output(render_short(check, {.colour = wants_colour(STDOUT_FILENO), .columns = terminal_columns()}));
      }
      flush_output();
      const at::Device prepared = prepare_device(config, check);
      require_room_for_cache(config, pool.splits(), prepared, rank);
      return prepared;
    });
    if (debug_.dry_run) {
      if (!rank.is_first()) return 0;
      print_start(config, folder, pool.splits());
      print("\n{}", dry_run(config, pool, device, folder.path));
      return 0;
    }
    const RunResult result = with_explained_errors(check, device, [&] {
      ProcessGroup group(rank, device, config.distributed.timeout);
      return train(config, pool, device, group, folder, check);
    });
    if (rank.is_first()) print_outcome(result, config, pool, device, folder);
    return result.signal == 0 ? 0 : report_stop(result.signal);
  }

 private:
  void refuse_resume_in_scratch(const Config& given) const {
    if (!debug_.writes_to_scratch() || given.run.resume == "auto" || given.run.resume == "never") return;
    throw UsageError("run.resume",
                     "is {}, but --train.fast_dev_run and --train.overfit_batches always start from the beginning: "
                     "leave it out; model.weights starts from the weights of a checkpoint",
                     given.run.resume);
  }

  static void warn_of_restarts(const DistributedConfig& config, const Rank& rank) {
    if (config.max_restarts == 0 || !rank.is_first() || rank.launcher.empty() || has_launcher()) return;
    log_warning(
        "[distributed] distributed.max_restarts = {} has no effect: {} has started the ranks, and would have to "
        "restart them (torchrun --max-restarts, sbatch --requeue)",
        config.max_restarts, rank.launcher);
  }

  // To the one epoch of train.fast_dev_run.
  static void shorten(Config& config) {
    config.train.epochs = 1;
    config.train.steps_per_epoch = 0;
    if (config.schedule.warmup_epochs >= 1) config.schedule.warmup_epochs = 0;
  }

  RunFolder choose_folder(const Config& config) const {
    return debug_.writes_to_scratch() ? scratch_folder(config, run_name(config)) : choose_run_folder(config);
  }

  // The first attempt may have created the folder, whatever run.resume says.
  RunFolder folder_after_restart(const Config& config, const ProcessGroup& group) const {
    const Rank& rank = group.rank();
    print("restart {}, after {}\n", rank.restarts,
          rank.launcher == "Slurm" ? "Slurm requeued the job" : "a process of the run was lost");
    const fs::path before = group.saved_text();
    Config same_run = config;
    if (!before.empty()) {
      same_run.run.name = before.filename();
      same_run.run.resume = "auto";
    }
    return choose_folder(same_run);
  }

  static void print_start(const Config& config, const RunFolder& folder, const std::vector<SplitInfo>& splits) {
    print("run     {}{}\n", folder.path.string(),
          folder.checkpoint ? fmt::format(", resuming from {}", folder.checkpoint->filename().string()) : "");
    for (const std::string& note : folder.notes) print("        {}\n", note);
    print_data(config, splits);
    flush_output();
  }

  // Rank 0 tells the others its folder.
  RunResult train(const Config& config, WorkerPool& pool, at::Device device, ProcessGroup& group, RunFolder& folder,
                  const CheckResult& check) const {
    try {
      if (!group.alone()) require_same(group, rank_facts(config, pool.splits()));
      if (group.rank().is_first()) {
        if (group.rank().restarts > 0) folder = folder_after_restart(config, group);
        group.save_text(folder.path);
        print_start(config, folder, pool.splits());
      }
      folder.path = group.broadcast(folder.path.string());
      const RunResult result = train_in(folder, config, pool, device, group, check);
      group.shut_down();
      return result;
    } catch (const std::exception& error) {
      group.rethrow_first_cause(error);
    }
  }

  RunResult train_in(const RunFolder& folder, const Config& config, WorkerPool& pool, at::Device device,
                     ProcessGroup& group, const CheckResult& check) const {
    Trainer trainer(config, pool, device, group, folder, debug_);
    // Up to here a signal ends the process at once: there is nothing to save.
    const StopSignal stop_signal;
    const TakesSignals takes_signals;
    trainer.open_folder();
    if (group.rank().is_first() && !trainer.finished()) {
      const std::string found = to_json_text(check);
      write_file_atomically(folder.path / "check.json", [&](FileWriter& file) { file.write(found); });
      const std::string data = json_text(to_json(pool.splits()), 2) + "\n";
      write_file_atomically(folder.path / "data.json", [&](FileWriter& file) { file.write(data); });
    }
    return trainer.run(stop_signal.token());
  }

  void print_outcome(const RunResult& result, const Config& config, WorkerPool& pool, at::Device device,
                     const RunFolder& folder) const {
    // A finished run without a report was stopped while the report was made.
    const bool reports = result.signal == 0 && (result.last || !fs::exists(folder.report()));
    const Judged judged = reports ? judge(config, pool, device, folder) : Judged();
    print_summary(result, config, folder, judged);
    print_loading(result.loading, pool);
    if (reports) print_report(folder, judged);
  }

  static void print_data(const Config& config, const std::vector<SplitInfo>& splits) {
    for (std::size_t i = 0; i < splits.size(); ++i) {
      const char* const name = to_string(static_cast<Split>(i));
      print("{:<8}{:<6}{}\n", i == 0 ? "data" : "", name, summary_of(splits[i]));
      if (const std::string line = sampling_of(splits[i]); !line.empty()) print("{:<14}{}\n", "", line);
      for (const std::string& line : warnings_about(name, splits[i])) log_warning(line);
    }
    for (const std::string& line : warnings_about(splits.front().fields)) log_warning(line);
    for (const std::string& line : warnings_about(config.data, splits)) log_warning(line);
    if (const std::string note = note_on_test(splits); !note.empty()) print("{:<8}{:<6}{}\n", "", "test", note);
  }

  // The only time that test is read. A run that is trained and saved does not fail if this evaluation or the page
  // fails.
  Judged judge(const Config& config, WorkerPool& pool, at::Device device, const RunFolder& folder) const {
    try {
      const std::optional<fs::path> best = checkpoint_to_report(folder.path);
      if (!best) throw RunError("report", "{} has no checkpoint to report on", folder.path.string());
      return {.best = evaluate_checkpoint(*best, pool, judging_split(pool), config, device,
                                          {.worst = max_reported_mistakes, .max_batches = debug_.val_batches()}),
              .error = ""};
    } catch (const std::exception& error) {
      return {.best = std::nullopt, .error = message_of(error)};
    }
  }

  static void print_report(const RunFolder& folder, const Judged& judged) {
    const fs::path page = folder.report();
    try {
      const RunReport report = build_report(folder.path, [&] {
        if (!judged.best) throw_error(ExitCode::run_failed, judged.error);
        return *judged.best;
      });
      if (!report.note.empty()) print_error(report.note);
      write_report(page, {report});
      print_row("report", page.string());
    } catch (const Error& error) {
      print_error(error.what());
    }
  }

  DebugOptions debug_;
};

const CommandRegistry::Registration registered{"train", "train a model",
                                               [] { return std::make_unique<TrainCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
