/// Reads the configuration stored in a checkpoint.
#pragma once

#include <filesystem>

#include "checkpoint/manifest.h"
#include "config/config.h"

namespace trainyard {

/// The configuration of the run that wrote `manifest`, which belongs to the step folder `checkpoint`. Throws RunError
/// that names the checkpoint if the configuration cannot be read, has an invalid value, or contradicts the manifest
/// (another model or dataset, more epochs completed than configured).
Config config_of(const Manifest& manifest, const std::filesystem::path& checkpoint);

/// The same, with the manifest read from the folder.
Config read_config(const std::filesystem::path& checkpoint);

}  // namespace trainyard
