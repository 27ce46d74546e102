/// Evaluation over a whole split.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "loader_torch/device_loader.h"
#include "models/model.h"
#include "tasks/task.h"

namespace trainyard {

/// What an evaluation came to.
struct Scores {
  MetricValues values;       ///< "loss" first, then the task's metrics, those that are collected last
  std::int64_t samples = 0;  ///< those whose loss is finite
};

/// The names of the values of an evaluation, in their order.
std::vector<std::string> score_names(const Task& task);

/// Whether an evaluation is better than an earlier one: by the monitored metric, then by its loss, then as the later
/// one. Not a number is worse than any number.
bool is_better(const MetricValues& later, const MetricValues& earlier, const Monitor& monitor);

/// `model` on every sample of the split of `batches`, each once, or on its first `most_batches` of them; the ranks of
/// `group` share them, and each gets the scores of all. The model is
/// in evaluation mode meanwhile and in its former mode afterwards. `evaluation`, which may be null, sees every batch of
/// this rank. Throws as CollectedMetrics::require_room(). With `mirror`, outputs are those of forward_mirrored().
Scores evaluate(Model& model, const Task& task, DeviceLoader& batches, ProcessGroup& group, Precision precision,
                std::int64_t most_batches = std::numeric_limits<std::int64_t>::max(), Evaluation* evaluation = nullptr,
                bool mirror = false);

}  // namespace trainyard
