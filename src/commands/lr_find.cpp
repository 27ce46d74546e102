// trainyard lr_find: trains briefly with a growing learning rate until the loss diverges, and suggests a rate.

#include <algorithm>

#include <fmt/format.h>

#include "commands/build_report.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "config/flags.h"
#include "loader/open_pool.h"
#include "training/lr_finder.h"
#include "training/stop_signal.h"
#include "training/trainer.h"
#include "util/output.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t curve_rows = 12;

class LrFindCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("--lr_min", least_, "first learning rate");
    arguments.add("--lr_max", most_, "last learning rate, unless the loss diverges first");
    arguments.add("--steps", steps_, "steps from one to the other", {.range = {{20, 100'000}}});
  }

  bool product_is_output() const override { return false; }

  int run(const Config& given) override {
    if (!(least_ > 0 && most_ > least_ && most_ / least_ <= 1e12)) {
      throw UsageError("lr_find",
                       "goes from {} to {}; allowed: --lr_min over 0, --lr_max over it by at most 1e12 times", least_,
                       most_);
    }
    WorkerPool pool = open_pool(given);  // forks, so before CUDA and any thread
    LrFinder finder;
    const DebugOptions debug{.lr_finder = &finder};
    const Config config = growing(given);
    const RunFolder folder = scratch_folder(config, run_name(config) + "-lr_find");
    const CheckResult check = run_check(needs_of(config));
    const at::Device device = prepare_device(config, check);
    require_room_for_cache(config, pool.splits(), device);
    ProcessGroup alone;
    const RunResult result = with_explained_errors(check, device, [&] {
      Trainer trainer(config, pool, device, alone, folder, debug);
      const StopSignal stop_signal;
      trainer.open_folder();
      return trainer.run(stop_signal.token());
    });
    fs::remove_all(folder.checkpoints());  // the trained weights are useless
    if (result.signal != 0) return 128 + result.signal;
    print_curve(finder);
    write_report(folder.report(), {{.record = read_run(folder.path), .evaluation = nullptr, .note = ""}});
    print("\n  curve      {}\n  report     {}\n", (folder.path / "metrics.jsonl").string(), folder.report().string());
    return 0;
  }

 private:
  // The configuration of a run of one epoch, over whose `steps_` steps the learning rate grows.
  Config growing(const Config& given) const {
    Config config = given;
    std::vector<std::string> flags = {"--schedule.name",
                                      "exponential",
                                      "--schedule.exponential.final",
                                      fmt::format("{}", most_ / least_),
                                      "--schedule.warmup_epochs",
                                      "0",
                                      "--optimizer.lr",
                                      fmt::format("{}", least_),
                                      "--train.epochs",
                                      "1",
                                      "--train.steps_per_epoch",
                                      fmt::format("{}", steps_),
                                      "--train.patience",
                                      "0",
                                      "--train.ema_decay",
                                      "0",
                                      "--train.log_every",
                                      "1",
                                      "--checkpoint.every_steps",
                                      "0"};
    SettingFlags(flags).apply_to(config);
    return config;
  }

  void print_curve(const LrFinder& finder) const {
    const std::vector<LrFinder::Point>& curve = finder.curve();
    print("\n  {:<10} loss (smoothed)\n", "lr");
    const std::size_t rows = std::min(curve.size(), curve_rows);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t i = rows == 1 ? 0 : row * (curve.size() - 1) / (rows - 1);
      print("  {:<10.1e} {:.4f}\n", curve[i].learning_rate, curve[i].loss);
    }
    if (finder.diverged()) print("  diverged after {} steps\n", curve.size());
    print("\n");
    const std::optional<LrFinder::Suggestion> found = finder.suggestion();
    if (!found) {
      print("  no suggestion: {} steps are too few to judge; try a lower --lr_min, or more --steps\n", curve.size());
      return;
    }
    if (!found->is_clear()) {
      print(
          "  no suggestion: the loss falls by {:.2g}, which is within its noise (standard error {:.2g}); try more "
          "--steps, a "
          "larger loader.batch_size, or another range (--lr_min, --lr_max)\n",
          found->fall, found->noise);
      return;
    }
    print("  suggested  --optimizer.lr {:.2g}  (the loss falls fastest; a tenth of where it is lowest: {:.2g})\n",
          found->steepest, found->minimum / 10);
  }

  double least_ = 1e-7;
  double most_ = 10;
  int steps_ = 100;
};

const CommandRegistry::Registration registered{"lr_find", "suggest a learning rate for a run",
                                               [] { return std::make_unique<LrFindCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
