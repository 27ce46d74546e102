/// Checks that the training split divides into batches that can be trained on.
#pragma once

#include <cstdint>

#include "config/config.h"
#include "models/model.h"

namespace trainyard {

/// Throws UsageError if an epoch of `samples` has no batch, or if a rank's part of its smallest batch is too small for
/// the model. reaches_last: whether an epoch includes the last batch, which may be smaller than the others.
void require_batches(const Config& config, std::uint64_t samples, bool reaches_last, std::int64_t ranks, Model& model,
                     const ModelInput& input);

}  // namespace trainyard
