/// Bytes of JPEG and PNG files for tests.
#pragma once

#include <string>

#include "images/image.h"

namespace trainyard {

/// How a test image is written. The values of `Image::pixels` are taken as the file's samples, in this many channels.
struct PngFormat {
  int color_type = 2;  ///< PNG's: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  int bit_depth = 8;  ///< 16: each value v is written as the two bytes v, 255 - v; under 8: values are 0 to 2^depth - 1
  bool interlaced = false;
};

/// A PNG. The palette's entry i is (i, 2 i, 255 - i) modulo 256.
std::string png_file(const Image& image, const PngFormat& format = {});

/// A baseline or progressive JPEG: 1 channel grey, 3 YCbCr with colours at 1 / `across` × 1 / `down` of the size, 4
/// CMYK as given. `restart`: MCUs from one restart marker to the next; 0: there are none.
std::string jpeg_file(const Image& image, int quality = 100, bool progressive = false, int across = 1, int down = 1,
                      unsigned restart = 0);

/// EXIF data that says nothing but the orientation, as the APP1 segment of a JPEG has it behind its header "Exif\0\0".
std::string exif_of(int orientation, bool big_endian = false);

/// The JPEG or PNG with this EXIF data.
std::string with_exif(const std::string& file, const std::string& exif);

/// A smooth picture: each channel rises at its own pace, modulo `levels`.
Image ramp(std::size_t height, std::size_t width, std::size_t channels, unsigned levels = 256);

/// The same, of half the contrast, under noise.
Image noisy_ramp(std::size_t height, std::size_t width, std::size_t channels);

}  // namespace trainyard
