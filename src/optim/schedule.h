/// Computes the learning rate as a pure function of the step, so that a resumed run has no state to restore. A new
/// schedule is one file here that registers itself.
#pragma once

#include <cstdint>
#include <functional>

#include "config/config.h"
#include "util/registry.h"

namespace trainyard {

/// A step of a run after the warm-up.
struct ScheduleStep {
  double peak;             ///< optimizer.lr
  double step;             ///< from 0, the first step after the warm-up, to steps - 1
  double steps;            ///< number of steps after the warm-up
  double steps_per_epoch;  ///< number of steps in an epoch
};

/// The learning rate of a step.
using Schedule = std::function<double(const ScheduleStep&)>;

struct ScheduleKind {
  static constexpr const char* name = "schedule";
};

using ScheduleRegistry = Registry<ScheduleKind, Schedule(const ScheduleConfig&)>;

/// Returns the learning rate of `step` (0 <= step < total_steps). In the first config.warmup_epochs, the warm-up of w
/// steps, it rises linearly: step i has peak × (i + 1) / w. Then it follows the schedule named by `config.name`. Throws
/// UsageError for an unknown name.
double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps);

}  // namespace trainyard
