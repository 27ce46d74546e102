/// Baseline JPEG at a half, a quarter or an eighth of its size, from the low frequencies of its blocks alone. Each
/// pixel is the mean of the pixels that it stands for, as libjpeg's scaled decoding gives, but for the frequencies
/// above what the smaller picture can show, which are left out. What is outside of the wanted part is stepped over by
/// HuffmanTable::Leap, which is where the time of large pictures goes.
#pragma once

#include <cstddef>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include "images/image.h"

namespace trainyard {

/// Writes `part` of the picture, shrunk by 2, 4 or 8, to `out`, in 1 channel (grey) or 3 (RGB); the same bytes that the
/// part has in the whole picture. `jpeg` has read the header, nothing more, and is not changed: its source still holds
/// the scan. REQUIRES that the part lies in the shrunk picture.
///
/// False, with anything in `out`, for a file that this is not made for (progressive, arithmetic coding, one scan a
/// component, CMYK, rare sampling) or that is damaged: libjpeg knows what to do with it.
bool read_scaled(const jpeg_decompress_struct& jpeg, const Rect& part, std::size_t channels, std::size_t shrink,
                 std::byte* out);

}  // namespace trainyard
