#include "optim/schedule.h"

#include <cmath>
#include <numbers>

#include "util/error.h"

namespace trainyard {

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
  throw UsageError("schedule.name", "there is no schedule '{}'", config.name);
}

}  // namespace trainyard
