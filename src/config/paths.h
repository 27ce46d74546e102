/// Resolves relative paths of a configuration that was written in another folder.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace trainyard {

/// Where scripts/weights puts NAME.safetensors.
inline constexpr const char* weights_folder = "data/weights";

/// Makes the paths that are read (data.root, model.weights, run.resume) usable from the current folder. A relative path
/// is taken from run.started_in. If it exists only in the current folder, e.g. because the run was moved together with
/// its data, it is kept unchanged and named in a line of the result, as is another file or folder of that name in the
/// current folder. run.dir, where runs are written, is unchanged: new runs go to the current folder. Afterwards
/// run.started_in is the current folder.
/// A model.weights that is a name, e.g. resnet50, becomes the path of that file in weights_folder. It is a name if it
/// has neither a slash nor the ending of a file of weights (.safetensors, .pth, .pt, .bin, .ckpt) and the current
/// folder has no file of that name.
std::vector<std::string> resolve_paths(Config& config);

}  // namespace trainyard
