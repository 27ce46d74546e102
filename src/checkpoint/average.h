/// Averages the weights of several checkpoints (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and
/// Better Generalization").
#pragma once

#include <filesystem>
#include <span>

#include "checkpoint/checkpoint.h"

namespace trainyard {

/// Averages step folders of one run, ordered from the oldest, using the weights that `eval` uses: the EMA weights if a
/// checkpoint has them. Floating-point tensors, including running statistics of batch norm, become their mean, computed
/// in float64; other tensors (counters) are taken from the last checkpoint, as is the manifest. The result has no
/// state, so a run cannot resume from it. Throws RunError for a damaged checkpoint, UsageError for checkpoints of
/// different models, classes or shapes. REQUIRES at least one.
Checkpoint average_of(std::span<const std::filesystem::path> checkpoints);

}  // namespace trainyard
