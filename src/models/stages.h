/// Assigns the parameters of a model to its stages (Model::stages).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "models/model.h"

namespace trainyard {

/// Whether `prefix` is a parameter's whole name or the name of a module that contains it: "layer1" and "layer1.0.conv1"
/// are prefixes of "layer1.0.conv1.weight", but not of "layer10.0.conv1.weight".
bool begins_with(const std::string& parameter, const std::string& prefix);

/// Returns the index of the stage that `parameter`, a parameter's name, belongs to. Throws RunError "model" unless that
/// is exactly one stage, which is a mistake in the model's file.
std::size_t stage_of(const std::vector<Stage>& stages, const std::string& parameter);

/// Returns e.g. "stem, layer1, layer2, head".
std::string names_of(const std::vector<Stage>& stages);

}  // namespace trainyard
