/// Decodes a baseline JPEG at a half, a quarter or an eighth of its size, from the low frequencies of its blocks alone.
/// Each pixel is the mean of the pixels it replaces, as in libjpeg's scaled decoding, but without the frequencies that
/// the smaller image cannot represent. Blocks outside the requested part are skipped by LeapTable; for large images
/// this takes most of the time.
#pragma once

#include <cstddef>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include "images/image.h"

namespace trainyard {

/// Writes `part` of the image, shrunk by 2, 4 or 8, to `out`, in 1 channel (grey) or 3 (RGB): the same bytes that the
/// part has in the whole image. `jpeg` has read only the header and is not changed: its source still holds the scan.
/// REQUIRES that the part lies in the shrunk image.
///
/// Returns false, with unspecified bytes in `out`, for a file that is damaged or not supported here (progressive,
/// arithmetic coding, one scan per component, CMYK, unusual sampling factors): use libjpeg instead.
bool read_scaled(const jpeg_decompress_struct& jpeg, const Rect& part, std::size_t channels, std::size_t shrink,
                 std::byte* out);

}  // namespace trainyard
