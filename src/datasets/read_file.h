/// Reads a whole small file into memory.
#pragma once

#include <span>
#include <string>

#include "images/image.h"

namespace trainyard {

/// Reads the file at `path` into `scratch` and returns its bytes. Throws RunError "image" with the path, also if the
/// file is larger than 1 GiB.
std::span<const std::byte> read_whole_file(const std::string& path, Scratch& scratch);

}  // namespace trainyard
