/// The structure of JPEG files that the GPU decodes.
#pragma once

#include <cstdint>

#include "images/image.h"

namespace trainyard {

/// The structure of a JPEG that the GPU decodes to the same pixels as libjpeg: baseline, in one scan, grey or YCbCr
/// with both chroma components at the full size, or at a half in one or both directions.
struct JpegLayout {
  ImageSize stored{};            ///< before the EXIF orientation is applied
  std::uint8_t orientation = 1;  ///< EXIF's, 1 to 8
  std::uint8_t components = 3;   ///< 1: grey, 3: YCbCr
  std::uint8_t across = 1;       ///< chroma's width is that of the image divided by 1 or 2, rounded up
  std::uint8_t down = 1;         ///< the same for its height
};

}  // namespace trainyard
