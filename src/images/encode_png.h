/// Pixels to PNG files.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "images/image.h"

namespace trainyard {

/// Red, green and blue of each value of a picture.
using Palette = std::vector<std::array<std::uint8_t, 3>>;

/// The bytes of an 8-bit PNG file, grey or RGB as `image` is. Throws RunError "image" where there are not 1 or 3
/// channels, no pixels, or other pixels than height × width × channels.
std::string encode_png(const Image& image);

/// The same of a mask, 1 channel, whose values are shown in the colours of `palette`: 1 to 256 of them, one for each
/// value that occurs. The file keeps the values.
std::string encode_png(const Image& mask, const Palette& palette);

}  // namespace trainyard
