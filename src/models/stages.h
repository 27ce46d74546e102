/// The stages of a model (Model::stages) as what is done with them needs them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "models/model.h"

namespace trainyard {

/// Whether `prefix` is the whole of a parameter's name or the names of the modules it is in: "layer1" and
/// "layer1.0.conv1" of "layer1.0.conv1.weight", but not of "layer10.0.conv1.weight".
bool begins_with(const std::string& parameter, const std::string& prefix);

/// The place of the stage that `parameter`, the name of one, is of. Throws RunError "model" unless that is exactly one:
/// a mistake in the model's file.
std::size_t stage_of(const std::vector<Stage>& stages, const std::string& parameter);

/// "stem, layer1, layer2, head"
std::string names_of(const std::vector<Stage>& stages);

}  // namespace trainyard
