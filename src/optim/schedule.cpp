#include "optim/schedule.h"

#include <algorithm>
#include <cmath>

namespace trainyard {
namespace {

// Of the epochs from `first` to before `end`, as far as they are known.
std::span<const double> values_of(const ValHistory& history, std::int64_t first, std::int64_t end) {
  const std::span<const double> all(history.values);
  const std::int64_t from = std::clamp<std::int64_t>(first - history.first_epoch, 0, std::ssize(all));
  const std::int64_t to = std::clamp<std::int64_t>(end - history.first_epoch, from, std::ssize(all));
  return all.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from));
}

}  // namespace

double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps, const ValHistory& history) {
  const auto warmup = std::llround(config.warmup_epochs * static_cast<double>(steps_per_epoch));
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const Schedule schedule = ScheduleRegistry::make(config.name, config);
  return schedule({.peak = peak,
                   .step = static_cast<double>(step - warmup),
                   .steps = static_cast<double>(total_steps - warmup),
                   .steps_per_epoch = static_cast<double>(steps_per_epoch),
                   .val = values_of(history, warmup / steps_per_epoch, step / steps_per_epoch),
                   .higher_is_better = history.higher_is_better});
}

}  // namespace trainyard
