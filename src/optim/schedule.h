/// The learning rate as a pure function of the step, so that a resumed run has nothing to restore. A new schedule is
/// one file here that registers itself.
#pragma once

#include <cstdint>
#include <functional>

#include "config/config.h"
#include "util/registry.h"

namespace trainyard {

/// A step of a run, after its warm-up.
struct ScheduleStep {
  double peak;             ///< optimizer.lr
  double step;             ///< from 0, which is the first step after the warm-up, to steps - 1
  double steps;            ///< of the run after the warm-up
  double steps_per_epoch;  ///< of an epoch
};

/// The learning rate of a step.
using Schedule = std::function<double(const ScheduleStep&)>;

struct ScheduleKind {
  static constexpr const char* name = "schedule";
};

using ScheduleRegistry = Registry<ScheduleKind, Schedule(const ScheduleConfig&)>;

/// Learning rate of `step` (0 <= step < total_steps), for a peak of `peak`. First `warmup_epochs` of linear warm-up:
/// step i of w has (i + 1) / w of the peak. Then what the schedule of `config.name` says. Throws UsageError for an
/// unknown name.
double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps);

}  // namespace trainyard
