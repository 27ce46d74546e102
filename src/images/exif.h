/// Reads the orientation from an image's EXIF data.
#pragma once

#include <cstddef>
#include <span>

namespace trainyard {

/// Returns the orientation stored in a JPEG (in its APP1 segment) or a PNG (in its eXIf chunk), 1 to 8 as EXIF numbers
/// them; 1 (upright as stored) if it is missing or invalid. Never reads outside `file`.
int exif_orientation(std::span<const std::byte> file);

}  // namespace trainyard
