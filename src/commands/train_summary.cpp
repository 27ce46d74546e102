#include "commands/train_summary.h"

#include <algorithm>

#include <fmt/format.h>

#include "util/count_of.h"
#include "util/output.h"
#include "util/system.h"

namespace trainyard {
namespace {

std::string early_stop(const Config& config, const RunResult& result) {
  return fmt::format(" (stopped early: none of {} after epoch {} was better)", count_of(config.train.patience, "epoch"),
                     result.best_epoch);
}

// All ranks run at the speed of the slowest.
std::string ranks_line(const RunResult& result) {
  const std::vector<double>& waits = result.wait_of_ranks;
  const auto [least, most] = std::minmax_element(waits.begin(), waits.end());
  const double rate = static_cast<double>(result.samples) / result.training_seconds;
  return fmt::format(
      "{}, {:.0f} samples/s each, waiting for data {:.1f} to {:.1f} % of the last epoch, most on rank {}", waits.size(),
      rate / static_cast<double>(waits.size()), 100 * *least, 100 * *most, most - waits.begin());
}

// "val/accuracy   0.9348 on all 6000 samples, val/loss 0.1800, val/top5 0.9990", followed by `rest`.
void print_scores(const std::string& split, const Scores& scores, const std::string& monitor,
                  const std::string& rest = "") {
  std::string others;
  for (const auto& [name, value] : scores.values) {
    if (name != monitor) others += fmt::format(", {}/{} {}", split, name, metric_text(value));
  }
  print_row(split + "/" + monitor, fmt::format("{} on {}{}{}", metric_text(value_of(scores.values, monitor)),
                                               samples_text(scores), others, rest));
}

void print_judged(const CheckpointEvaluation& best) {
  if (best.split == Split::test) {
    print_scores("test", best.scores, best.monitor.metric, fmt::format(", of {}", best.checkpoint.filename().string()));
  } else {
    print_row("test", "none: the data has no test split, and the figures on val chose the best checkpoint");
  }
}

}  // namespace

void print_row(const std::string& name, const std::string& value) {
  print("  {:<15}{}{}\n", name, name.size() < 15 ? "" : "  ", value);
}

void print_summary(const RunResult& result, const Config& config, const RunFolder& folder, const Judged& judged) {
  if (result.signal != 0 && result.steps > 0) {
    print("stopped by signal {} after step {}: {} to resume there\n", result.signal, result.steps,
          how_to_resume(config, folder.path));
  } else if (result.signal != 0) {
    print("stopped by signal {} before the first step: nothing to save\n", result.signal);
  }
  if (!result.last && result.signal == 0) {
    print("{} is finished already, after {}{}: nothing left to train. More: {}, or another --run.name\n",
          folder.path.string(), count_of(result.epochs, "epoch"),
          result.early_stopped ? early_stop(config, result) : "",
          result.early_stopped ? "--train.patience N" : "--train.epochs N");
  }
  print("\n");
  const std::string of_all = result.epochs > config.train.epochs ? "" : fmt::format(" of {}", config.train.epochs);
  print_row("epochs", fmt::format("{}{}, {}{}", result.epochs, of_all, count_of(result.steps, "step"),
                                  result.early_stopped ? early_stop(config, result) : ""));
  if (result.last) print_scores("val", *result.last, result.monitor);
  if (result.best_epoch > 0) {
    print_row("best",
              fmt::format("val/{} {} after epoch {}", result.monitor, metric_text(result.best), result.best_epoch));
  } else if (result.epochs > 0) {
    print_row("best", fmt::format("none: no epoch has a finite val/loss and a value of val/{}", result.monitor));
  }
  if (judged.best) print_judged(*judged.best);
  if (result.samples > 0) {
    print_row("training", fmt::format("{}, {:.0f} samples/s, {:.1f} % of it waiting for data",
                                      format_duration(result.training_seconds),
                                      static_cast<double>(result.samples) / result.training_seconds,
                                      100 * result.data_wait / result.training_seconds));
  }
  if (result.wait_of_ranks.size() > 1) print_row("ranks", ranks_line(result));
  print_row("run", folder.path.string());
  if (result.steps > 0) print_row("checkpoint", (folder.checkpoints() / "last").string());
  flush_output();
}

void print_loading(const EpochStats& stats, const WorkerPool& pool) {
  if (const std::string line = loading_line(stats, pool.options()); !line.empty()) print_row("loading", line);
  if (const std::string line = faults_line(pool.faults()); !line.empty()) print_row("faults", line);
  const std::string advice = loading_advice(stats, pool.options(), usable_cores());
  if (!advice.empty()) print_row("bottleneck", advice);
}

}  // namespace trainyard
