/// The learning rate as a pure function of the step, so that a resumed run has nothing to restore.
#pragma once

#include <cstdint>

#include "config/config.h"

namespace trainyard {

/// Learning rate of `step` (0 <= step < total_steps), for a peak of `peak`.
///
/// First `warmup_epochs` of linear warm-up: step i of w has (i + 1) / w of the peak. After it, over the steps that are
/// left, with progress p from 0 at the first of them towards 1 after the last:
///   constant: peak
///   cosine:   peak × (1 + cos(π p)) / 2                      (Loshchilov and Hutter 2017, one period, no restarts)
///   step:     peak × gamma^k, k = epochs since the warm-up / step_epochs, rounded down
///   one_cycle: from peak / div_factor up to the peak over pct_start of the steps, then down to peak / div_factor /
///              final_div_factor, both along half a cosine    (Smith and Topin 2018; torch's OneCycleLR)
double learning_rate(const ScheduleConfig& config, double peak, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps);

}  // namespace trainyard
