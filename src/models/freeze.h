/// Freezing: parts of a model that keep the weights they have, as is usual when a model is trained further on other
/// data.
#pragma once

#include <string>

#include "models/model.h"

namespace trainyard {

/// Freezes the first `config.freeze_stages` stages of `model`, and what `config.freeze` names: stages, or else all
/// parameters that begin with a name (begins_with() in models/stages.h). A frozen parameter requires no gradient: the
/// backward pass leaves it out and ends before the first parameter that is trained, and it has no optimizer state and
/// no weight decay. A module whose parameters are all frozen stays in evaluation mode (Model::train): its batch norm
/// uses its running statistics and leaves them alone, its dropout drops nothing. Throws UsageError for a name that is
/// none, with the nearest; for more stages than there are; and if nothing is left to train.
void freeze(Model& model, const ModelConfig& config);

/// "2 of 6 stages (stem, layer1), 157504 of 11689512 parameters"; a stage counts if all of it is frozen. Empty if
/// nothing is.
std::string describe_frozen(const Model& model);

}  // namespace trainyard
