/// Computes the learning rate as a pure function of the step and of the results on val so far, so that a resumed run
/// has no other state to restore. A new schedule is one file here that registers itself.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "config/config.h"
#include "util/registry.h"

namespace trainyard {

/// A step of a run after the warm-up.
struct ScheduleStep {
  double peak;             ///< optimizer.lr
  double step;             ///< from 0, the first step after the warm-up, to steps - 1
  double steps;            ///< number of steps after the warm-up
  double steps_per_epoch;  ///< number of steps in an epoch
  /// The monitored metric on val after each epoch that has ended since the warm-up, in order; NaN if that epoch cannot
  /// be the best.
  std::span<const double> val;
  bool higher_is_better;  ///< the monitored metric
};

/// The learning rate of a step.
using Schedule = std::function<double(const ScheduleStep&)>;

struct ScheduleKind {
  static constexpr const char* name = "schedule";
};

using ScheduleRegistry = Registry<ScheduleKind, Schedule(const ScheduleConfig&)>;

/// The monitored metric on val after each epoch of a run so far.
struct ValHistory {
  bool higher_is_better = true;
  std::int64_t first_epoch = 0;  ///< from 0; nothing is known of the epochs before it
  std::vector<double> values;    ///< one per epoch; NaN: the epoch cannot be the best
};

/// Returns the learning rate of `step` (0 <= step < total_steps). In the first config.warmup_epochs, the warm-up of w
/// steps, it rises linearly: step i has peak × (i + 1) / w. Then it follows the schedule named by `config.name`. Of
/// `history`, only epochs that ended before `step` have an influence. Throws UsageError for an unknown name.
double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps, const ValHistory& history = {});

}  // namespace trainyard
