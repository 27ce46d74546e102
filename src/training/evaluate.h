/// Evaluation over a whole split.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "loader_torch/device_loader.h"
#include "models/model.h"
#include "training/metrics.h"

namespace trainyard {

/// Loss (cross-entropy without label smoothing) and accuracy of `model` over every sample of the split of `batches`,
/// each once, or over its first `most_batches` of them. The model is in evaluation mode meanwhile and in its former
/// mode afterwards.
Scores evaluate(Model& model, DeviceLoader& batches, const Normalize& normalize, Precision precision,
                std::int64_t most_batches = std::numeric_limits<std::int64_t>::max());

}  // namespace trainyard
