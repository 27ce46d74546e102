/// Bytes of JPEG and PNG files for tests.
#pragma once

#include <string>

#include "transforms/image.h"

namespace trainyard {

/// How a test image is written. The values of `Image::pixels` are taken as the file's samples, in this many channels.
struct PngFormat {
  int color_type = 2;  ///< PNG's: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  int bit_depth = 8;  ///< 16: each value v is written as the two bytes v, 255 - v; under 8: values are 0 to 2^depth - 1
  bool interlaced = false;
};

/// A PNG. The palette's entry i is (i, 2 i, 255 - i) modulo 256.
std::string png_file(const Image& image, const PngFormat& format = {});

/// A baseline or progressive JPEG: 1 channel grey, 3 YCbCr without subsampling, 4 CMYK as given.
std::string jpeg_file(const Image& image, int quality = 100, bool progressive = false);

}  // namespace trainyard
