#include "images/encode_png.h"

#include <png.h>

#include "util/error.h"

namespace trainyard {

std::string encode_png(const Image& image) {
  if ((image.channels != 1 && image.channels != 3) || image.pixels.empty() ||
      image.pixels.size() != image.height * image.width * image.channels) {
    throw RunError("image", "{} bytes are no {} x {} picture of {} channels", image.pixels.size(), image.width,
                   image.height, image.channels);
  }
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&png, file.data(), &size, /*convert_to_8_bit=*/0, image.pixels.data(),
                                /*row_stride=*/0, nullptr) == 0) {
    throw RunError("image", "cannot write a PNG: {}", png.message);
  }
  file.resize(size);
  return file;
}

}  // namespace trainyard
