/// Pixels to PNG files.
#pragma once

#include <string>

#include "images/image.h"

namespace trainyard {

/// The bytes of an 8-bit PNG file, grey or RGB as `image` is. Throws RunError "image" where there are not 1 or 3
/// channels, no pixels, or other pixels than height × width × channels.
std::string encode_png(const Image& image);

}  // namespace trainyard
