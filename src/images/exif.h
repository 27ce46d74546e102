/// The one fact of a picture's EXIF data that changes its pixels.
#pragma once

#include <cstddef>
#include <span>

namespace trainyard {

/// The orientation that a JPEG (in its APP1 segment) or a PNG (in its eXIf chunk) asks for, 1 to 8 as EXIF numbers
/// them; 1, upright as it is stored, if the file says nothing, or nothing sound. Never reads outside of `file`.
int exif_orientation(std::span<const std::byte> file);

}  // namespace trainyard
