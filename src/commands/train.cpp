// trainyard train: from a configuration to a trained model in runs/<name>/.

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/render.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "commands/splits.h"
#include "loader/epoch_stats.h"
#include "training/stop_signal.h"
#include "training/trainer.h"
#include "util/atomic_file.h"
#include "util/system.h"

namespace trainyard {
namespace {

class TrainCommand : public Command {
 public:
  void bind(CLI::App&) override {}

  int run(const Config& config) override {
    WorkerPool pool(pool_options(config), dataset_factory(config));  // forks: before CUDA, before any thread
    const RunFolder folder = choose_run_folder(config);
    const CheckResult check = run_check(needs_of(config));
    fmt::print("{}", render_short(check, wants_colour(STDOUT_FILENO)));
    std::fflush(stdout);
    const at::Device device = prepare_device(config, check);
    fmt::print("run     {}{}\n", folder.path.string(),
               folder.checkpoint ? fmt::format(", going on from {}", folder.checkpoint->filename().string()) : "");
    std::fflush(stdout);

    const StopSignal stop_signal;
    const RunResult result = with_explained_errors(check, device, [&] {
      Trainer trainer(config, pool, device, folder);
      const std::string found = to_json(check).dump(2) + "\n";
      write_file_atomically(folder.path / "check.json", [&](FileWriter& file) { file.write(found); });
      return trainer.run();
    });
    print_result(result, config, folder);
    print_loading(result.loading, pool);
    return result.signal == 0 ? 0 : 128 + result.signal;
  }

 private:
  static void print_loading(const EpochStats& stats, const WorkerPool& pool) {
    if (const std::string line = loading_line(stats, pool.options()); !line.empty()) row("loading", line);
    if (const std::string line = faults_line(pool.faults()); !line.empty()) row("faults", line);
    const std::string advice = loading_advice(stats, pool.options(), usable_cores());
    if (!advice.empty()) row("bottleneck", advice);
  }

  static void row(const char* name, const std::string& value) { fmt::print("  {:<15}{}\n", name, value); }

  static void print_result(const RunResult& result, const Config& config, const RunFolder& folder) {
    if (result.signal != 0) {
      fmt::print("stopped by signal {} after step {}: saved; the same command goes on from there\n", result.signal,
                 result.steps);
    }
    if (result.samples == 0 && result.signal == 0) {
      fmt::print("{} has all of its {} epochs: nothing left to train. More: --train.epochs, or another --run.name\n",
                 folder.path.string(), config.train.epochs);
    }
    fmt::print("\n");
    row("epochs", fmt::format("{} of {}, {} steps", result.epochs, config.train.epochs, result.steps));
    if (result.last) {
      row("test accuracy", fmt::format("{:.4f} on all {} test images, loss {:.4f}", result.last->accuracy,
                                       result.last->samples, result.last->loss));
    }
    if (result.best_epoch > 0) {
      row("best", fmt::format("{:.4f} after epoch {}", result.best_accuracy, result.best_epoch));
    }
    if (result.training_seconds > 0) {
      row("training",
          fmt::format("{}, {:.0f} samples/s, {:.1f} % of it waiting for data", format_duration(result.training_seconds),
                      static_cast<double>(result.samples) / result.training_seconds,
                      100 * result.data_wait / result.training_seconds));
    }
    row("run", folder.path.string());
    row("checkpoint", (folder.checkpoints() / "last").string());
  }
};

const CommandRegistry::Registration registered{"train", "train a model",
                                               [] { return std::make_unique<TrainCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
