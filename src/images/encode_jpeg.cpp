#include "images/encode_jpeg.h"

#include <cstdlib>

#include "images/jpeg_errors.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// libjpeg's compressor and its output.
class Compressor {
 public:
  Compressor() { jpeg_.err = &errors_.base; }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor() {
    jpeg_destroy_compress(&jpeg_);
    std::free(bytes_);
  }

  bool compress(const ConstImageView& image, int quality) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_compress(&jpeg_);
    jpeg_mem_dest(&jpeg_, &bytes_, &size_);
    jpeg_.image_width = static_cast<JDIMENSION>(image.width);
    jpeg_.image_height = static_cast<JDIMENSION>(image.height);
    jpeg_.input_components = static_cast<int>(image.channels);
    jpeg_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&jpeg_);
    jpeg_set_quality(&jpeg_, quality, TRUE);
    jpeg_start_compress(&jpeg_, TRUE);
    while (jpeg_.next_scanline < jpeg_.image_height) {
      auto* row = reinterpret_cast<JSAMPROW>(const_cast<std::byte*>(image.row(jpeg_.next_scanline)));
      jpeg_write_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_compress(&jpeg_);
    return true;
  }

  std::span<const std::byte> bytes() const { return {reinterpret_cast<const std::byte*>(bytes_), size_}; }
  const char* message() const { return errors_.message; }

 private:
  jpeg_compress_struct jpeg_{};
  JpegErrors errors_;
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

std::vector<std::byte> encode_jpeg(const ConstImageView& image, int quality) {
  if (image.channels != 1 && image.channels != 3) {
    throw RunError("image", "a JPEG has 1 or 3 channels, this image has {}", image.channels);
  }
  Compressor compressor;
  if (!compressor.compress(image, quality)) throw RunError("image", "cannot encode a JPEG: {}", compressor.message());
  return {compressor.bytes().begin(), compressor.bytes().end()};
}

}  // namespace trainyard
