/// A forward pass in the precision of a run.
#pragma once

#include "config/config.h"
#include "models/model.h"
#include "tasks/task.h"
#include "util/tensor_dict.h"

namespace trainyard {

/// What `model` returns for a prepared batch, computed in `precision`; floating-point outputs as float32, or float64 if
/// they are.
TensorDict forward(Model& model, const TensorDict& batch, Precision precision);

/// The mean of what `model` returns for a prepared batch and for its mirrored pictures (Task::unmirrored): of logits,
/// not of probabilities. Throws UsageError if a mirrored picture is of no use to `task`.
TensorDict forward_mirrored(Model& model, const Task& task, const TensorDict& batch, Precision precision);

/// Number of samples in a prepared batch.
std::int64_t samples_of(const TensorDict& batch);

}  // namespace trainyard
