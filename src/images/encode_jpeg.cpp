#include "images/encode_jpeg.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstdlib>

#include <jpeglib.h>

#include "util/error.h"

namespace trainyard {
namespace {

/// As in decode_jpeg.cpp: libjpeg's errors come by longjmp, so its functions are called where nothing has a destructor.
class Compressor {
 public:
  Compressor() {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = [](j_common_ptr jpeg) {
      auto* const errors = reinterpret_cast<Errors*>(jpeg->err);
      errors->base.format_message(jpeg, errors->message);
      std::longjmp(errors->jump, 1);
    };
  }
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
  struct Errors {
    jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is a pointer to Errors
    std::jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
  };

  jpeg_compress_struct jpeg_{};
  Errors errors_{};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

std::vector<std::byte> encode_jpeg(const ConstImageView& image, int quality) {
  if (image.channels != 1 && image.channels != 3) {
    throw RunError("image", "a JPEG has 1 or 3 channels, this picture has {}", image.channels);
  }
  Compressor compressor;
  if (!compressor.compress(image, quality)) throw RunError("image", "cannot encode a JPEG: {}", compressor.message());
  return {compressor.bytes().begin(), compressor.bytes().end()};
}

}  // namespace trainyard
