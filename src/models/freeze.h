/// Freezes parts of a model, i.e. keeps their weights, as is usual for fine-tuning.
#pragma once

#include <string>

#include "models/model.h"

namespace trainyard {

/// Freezes the first `config.freeze_stages` stages of `model`, and for each name in `config.freeze` the stage of that
/// name or, if there is none, all parameters whose names begin with it (begins_with() in models/stages.h). A frozen
/// parameter does not require a gradient: the backward pass skips it and stops at the first trained parameter, and it
/// has no optimizer state and no weight decay. A module whose parameters are all frozen stays in evaluation mode
/// (Model::train): its batch norm uses its running statistics without updating them, and its dropout drops nothing.
/// Throws UsageError for an unknown name, with the nearest known one; if `config.freeze_stages` leaves no stage to
/// train; and if nothing is left to train.
void freeze(Model& model, const ModelConfig& config);

/// Returns e.g. "2 of 6 stages (stem, layer1), 157504 of 11689512 parameters"; a stage counts if it is completely
/// frozen. Empty if nothing is frozen.
std::string describe_frozen(const Model& model);

}  // namespace trainyard
