#include "images/encode_png.h"

#include <algorithm>

#include <png.h>

#include "util/error.h"

namespace trainyard {

namespace {

std::string write_png(const Image& image, png_uint_32 format, const void* colours, png_uint_32 colour_count) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = format;
  png.colormap_entries = colour_count;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&png, file.data(), &size, /*convert_to_8_bit=*/0, image.pixels.data(),
                                /*row_stride=*/0, colours) == 0) {
    throw RunError("image", "cannot write a PNG: {}", png.message);
  }
  file.resize(size);
  return file;
}

void require_pixels(const Image& image) {
  if ((image.channels != 1 && image.channels != 3) || image.pixels.empty() ||
      image.pixels.size() != image.height * image.width * image.channels) {
    throw RunError("image", "{} bytes are not a {} x {} image of {} channels", image.pixels.size(), image.width,
                   image.height, image.channels);
  }
}

}  // namespace

std::string encode_png(const Image& image) {
  require_pixels(image);
  return write_png(image, image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB, nullptr, 0);
}

std::string encode_png(const Image& mask, const Palette& palette) {
  require_pixels(mask);
  const auto colours = static_cast<std::byte>(palette.size());
  const bool fits = !palette.empty() && palette.size() <= 256 && mask.channels == 1 &&
                    (palette.size() == 256 || std::all_of(mask.pixels.begin(), mask.pixels.end(),
                                                          [&](std::byte value) { return value < colours; }));
  if (!fits) throw RunError("image", "a palette of {} colours does not fit the values of the mask", palette.size());
  return write_png(mask, PNG_FORMAT_RGB_COLORMAP, palette.data(), static_cast<png_uint_32>(palette.size()));
}

}  // namespace trainyard
