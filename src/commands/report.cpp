// trainyard report: writes the results of runs as one HTML page.

#include <filesystem>
#include <set>

#include "checkpoint/run_config.h"
#include "commands/build_report.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "config/paths.h"
#include "loader/open_pool.h"
#include "util/log.h"
#include "util/output.h"
#include "util/output_file.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// A run whose checkpoint can be evaluated, or why not.
struct Job {
  fs::path run;
  fs::path checkpoint;
  Config config;
  std::unique_ptr<WorkerPool> pool;
  std::string note;
};

// The run's own settings, except where to compute and where the data is, which depend on this machine.
Config config_of(const fs::path& checkpoint, const Config& given) {
  Config config = read_config(checkpoint);
  for (const std::string& note : resolve_paths(config)) log_warning(note);
  config.train.device = given.train.device;
  config.loader.workers = given.loader.workers;
  if (!given.data.root.empty()) config.data.root = given.data.root;
  return config;
}

// Forks the run's workers.
Job prepare(const fs::path& run, const Config& given) {
  Job job{.run = run, .checkpoint = {}, .config = {}, .pool = nullptr, .note = ""};
  try {
    const std::optional<fs::path> checkpoint = checkpoint_to_report(run);
    if (!checkpoint) throw RunError("report", "{} has no checkpoint yet", run.string());
    job.checkpoint = *checkpoint;
    job.config = config_of(*checkpoint, given);
    job.pool = std::make_unique<WorkerPool>(pool_options(job.config), dataset_factory(job.config));
  } catch (const Error& error) {
    job.note = error.what();
  }
  return job;
}

class ReportCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("runs", runs_, "folders of runs; several appear side by side", {.required = true});
    arguments.add("-o,--output", output_,
                  "file to write; by default report.html in the run's folder, or beside the first of several");
  }

  bool product_is_output() const override { return false; }

  // All others are the runs' own.
  bool uses(const std::string& key) const override {
    return key == "train.device" || key == "loader.workers" || key == "data.root";
  }

  int run(const Config& config) override {
    std::set<fs::path> seen;
    for (const std::string& run : runs_) {  // a mistyped name ends the command before anything expensive
      read_run(run);
      if (!seen.insert(fs::canonical(run)).second) {
        throw UsageError("report", "{} is given twice; give each run once", run);
      }
    }
    const fs::path output = output_.empty() ? default_output() : fs::path(output_);
    require_writable(output, "report");
    std::vector<Job> jobs;
    for (const std::string& run : runs_) jobs.push_back(prepare(run, config));  // forks, so before CUDA and any thread
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    with_explained_errors(check, device, [&] { write_page(jobs, device, output); });
    return 0;
  }

 private:
  void write_page(const std::vector<Job>& jobs, at::Device device, const fs::path& output) const {
    std::vector<RunReport> reported;
    for (const Job& job : jobs) {
      reported.push_back(build_report(job.run, [&] {
        if (!job.pool) throw_error(ExitCode::run_failed, job.note);
        return evaluate_checkpoint(job.checkpoint, *job.pool, judging_split(*job.pool), job.config, device,
                                   {.worst = max_reported_mistakes});
      }));
      if (!reported.back().note.empty()) {
        print_error(fmt::format("{}\n  {} is shown without its predictions", reported.back().note,
                                printable(job.run.string())));
      }
    }
    write_report(output, reported);
    print("report  {}\n", output.string());
  }

  fs::path default_output() const {
    const fs::path first = fs::weakly_canonical(runs_.front());
    return (runs_.size() == 1 ? fs::path(runs_.front()) : first.parent_path()) / "report.html";
  }

  std::vector<std::string> runs_;
  std::string output_;
};

const CommandRegistry::Registration registered{"report",
                                               "write one HTML page about runs: curves, confusion matrix, mistakes",
                                               [] { return std::make_unique<ReportCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
