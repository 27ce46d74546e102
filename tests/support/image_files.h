/// Builds JPEG and PNG files for tests, as bytes.
#pragma once

#include <string>

#include "images/image.h"

namespace trainyard {

/// Describes how a test image is written. The values of `Image::pixels` are taken as the file's samples, in this many
/// channels.
struct PngFormat {
  int color_type = 2;  ///< as in PNG: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
  int bit_depth = 8;  ///< 16: each value v is written as the two bytes v, 255 - v; under 8: values are 0 to 2^depth - 1
  bool interlaced = false;
};

/// Returns a PNG. Entry i of the palette is (i, 2 i, 255 - i) modulo 256.
std::string png_file(const Image& image, const PngFormat& format = {});

/// Returns a baseline or progressive JPEG: 1 channel is grey, 3 are YCbCr with chroma subsampled by `across` × `down`,
/// 4 are CMYK as given. `restart`: MCUs per restart interval; 0: no restart markers.
std::string jpeg_file(const Image& image, int quality = 100, bool progressive = false, int across = 1, int down = 1,
                      unsigned restart = 0);

/// Returns EXIF data with only an orientation, in the form in which the APP1 segment of a JPEG has it after the header
/// "Exif\0\0".
std::string exif_of(int orientation, bool big_endian = false);

/// Returns the JPEG or PNG with this EXIF data added.
std::string with_exif(const std::string& file, const std::string& exif);

/// Returns a smooth image: each channel rises with a different slope, modulo `levels`.
Image ramp(std::size_t height, std::size_t width, std::size_t channels, unsigned levels = 256);

/// The same with half the contrast and added noise.
Image noisy_ramp(std::size_t height, std::size_t width, std::size_t channels);

}  // namespace trainyard
