/// Evaluation over a whole split.
#pragma once

#include <string>

#include "models/model.h"
#include "training/device_loader.h"
#include "training/metrics.h"

namespace trainyard {

/// Loss (cross-entropy without label smoothing) and accuracy of `model` over every sample of the split `loader` reads,
/// each once. The model is in evaluation mode meanwhile and in its former mode afterwards.
Scores evaluate(Model& model, DataLoader& loader, const Normalize& normalize, at::Device device,
                const std::string& precision);

}  // namespace trainyard
