#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "util/error.h"

namespace trainyard {
namespace {

// From `from` to `to` along half a cosine, as progress goes from 0 to 1.
double anneal(double from, double to, double progress) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * progress)) / 2;
}

double one_cycle(const ScheduleConfig& config, double peak, double step, double steps) {
  const double first = peak / config.div_factor;
  const double top = config.pct_start * steps - 1;  // the step that has the peak; may lie between two
  if (step <= top) return top > 0 ? anneal(first, peak, step / top) : peak;
  const double turn = std::max(top, 0.0);
  return anneal(peak, first / config.final_div_factor, steps - 1 > turn ? (step - turn) / (steps - 1 - turn) : 0);
}

}  // namespace

double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps) {
  const auto warmup = std::llround(config.warmup_epochs * static_cast<double>(steps_per_epoch));
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);

  const auto since = static_cast<double>(step - warmup);
  if (config.name == "constant") return peak;
  if (config.name == "cosine") {
    const double progress = since / static_cast<double>(total_steps - warmup);
    return peak * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
  if (config.name == "step") {
    return peak *
           std::pow(config.gamma, std::floor(since / (config.step_epochs * static_cast<double>(steps_per_epoch))));
  }
  if (config.name == "one_cycle") return one_cycle(config, peak, since, static_cast<double>(total_steps - warmup));
  throw UsageError("schedule.name", "there is no schedule '{}'", config.name);
}

}  // namespace trainyard
