/// The mean of several checkpoints' weights (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better
/// Generalization").
#pragma once

#include <filesystem>
#include <span>

#include "checkpoint/checkpoint.h"

namespace trainyard {

/// Of step folders of one run, oldest first, those weights that `eval` uses: the averaged ones if a checkpoint has
/// them. Floating-point tensors, running statistics of batch norm among them, become their mean, computed in float64;
/// others (counters) are the last one's. The manifest is the last one's too; there is no state, so nothing can resume
/// from it. Throws RunError for a damaged checkpoint, UsageError for checkpoints of different models, classes or
/// shapes. REQUIRES at least one.
Checkpoint average_of(std::span<const std::filesystem::path> checkpoints);

}  // namespace trainyard
