/// Reading one small file.
#pragma once

#include <span>
#include <string>

#include "images/image.h"

namespace trainyard {

/// The bytes of the file at `path`, in `scratch`. Throws RunError "image" with the path; also for one of over 1 GiB.
std::span<const std::byte> read_whole_file(const std::string& path, Scratch& scratch);

}  // namespace trainyard
