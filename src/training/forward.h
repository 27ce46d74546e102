/// Runs a model's forward pass in the precision of a run.
#pragma once

#include "config/config.h"
#include "models/model.h"
#include "tasks/task.h"
#include "util/tensor_dict.h"

namespace trainyard {

/// Returns `raw`, which has samples, prepared by `task` for forward() with the same `precision`.
TensorDict prepare(const Task& task, const DeviceBatch& raw, Precision precision);

/// Returns the outputs of `model` for a prepared batch, computed in `precision`. float16 and bfloat16 outputs are
/// converted to float32 unless `task` takes them (Task::takes_half_precision).
TensorDict forward(Model& model, const Task& task, const TensorDict& batch, Precision precision);

/// Returns the mean of the outputs of `model` for a prepared batch and for its mirrored images (Task::unmirrored): the
/// mean of logits, not of probabilities. Throws UsageError if there are no images, or if `task` does not support
/// mirroring.
TensorDict forward_mirrored(Model& model, const Task& task, const TensorDict& batch, Precision precision);

/// Whether the outputs for each of `samples` samples are finite: bool, one per sample, on the CPU. An output that is
/// not one of each sample, e.g. a scalar, counts for all of them.
at::Tensor are_finite(const TensorDict& outputs, std::int64_t samples);

/// The number of samples in a prepared batch.
std::int64_t samples_of(const TensorDict& batch);

}  // namespace trainyard
