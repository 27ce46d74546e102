#include "optim/schedule.h"

#include <cmath>

namespace trainyard {

double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps) {
  const auto warmup = std::llround(config.warmup_epochs * static_cast<double>(steps_per_epoch));
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const Schedule schedule = ScheduleRegistry::make(config.name, config);
  return schedule({.peak = peak,
                   .step = static_cast<double>(step - warmup),
                   .steps = static_cast<double>(total_steps - warmup),
                   .steps_per_epoch = static_cast<double>(steps_per_epoch)});
}

}  // namespace trainyard
