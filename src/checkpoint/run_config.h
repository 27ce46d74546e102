/// The configuration that a checkpoint carries.
#pragma once

#include <filesystem>

#include "checkpoint/manifest.h"
#include "config/config.h"

namespace trainyard {

/// The configuration of the run that wrote `manifest`, which is of the step folder `checkpoint`. Throws RunError that
/// names the checkpoint if it cannot be read, has a value that is not allowed, or contradicts the manifest (another
/// model or dataset, more epochs done than there are).
Config config_of(const Manifest& manifest, const std::filesystem::path& checkpoint);

/// The same, with the manifest read from the folder.
Config read_config(const std::filesystem::path& checkpoint);

}  // namespace trainyard
