/// Encodes pixels as PNG files.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "images/image.h"

namespace trainyard {

/// Red, green and blue for each value.
using Palette = std::vector<std::array<std::uint8_t, 3>>;

/// Returns an 8-bit PNG file, grey or RGB like `image`. Throws RunError "image" if the number of channels is not 1 or
/// 3, if there are no pixels, or if their number is not height × width × channels.
std::string encode_png(const Image& image);

/// The same for a mask, 1 channel, shown in the colours of `palette`: 1 to 256 of them, one for each value that occurs.
/// The file keeps the values.
std::string encode_png(const Image& mask, const Palette& palette);

}  // namespace trainyard
