/// Relative paths of a configuration that was written in another folder than the current one.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace trainyard {

/// Where scripts/weights puts NAME.safetensors.
inline constexpr const char* weights_folder = "data/weights";

/// Makes the paths that are read (data.root, model.weights, run.resume) usable from the current folder: a relative one
/// is taken from run.started_in; if nothing is there, it stays as it was given, for a folder that was moved together
/// with its data. Each path of the second kind is named in a line of the result. run.dir, where runs are written, stays
/// as it is: new runs go to the current folder. run.started_in is the current folder afterwards.
/// A model.weights that is a name, as resnet50, becomes the path of that file in weights_folder. It is a name if it has
/// neither a slash nor the ending .safetensors and the current folder has no file of that name.
std::vector<std::string> resolve_paths(Config& config);

}  // namespace trainyard
