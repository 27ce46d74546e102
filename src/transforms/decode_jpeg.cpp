// JPEG by libjpeg-turbo. Its errors come by longjmp, which must not leave out a destructor: every call into it is made
// from a function that has nothing but plain C objects and says by `false` that the call failed.
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jerror.h>
#include <jpeglib.h>

#include "transforms/decode_image.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// How many passes a progressive file may have. A tiny file of countless passes over a huge picture takes hours.
constexpr int max_scans = 500;

class JpegReader {
 public:
  JpegReader() {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = [](j_common_ptr jpeg) { fail(jpeg); };
    errors_.base.emit_message = [](j_common_ptr jpeg, int) {
      // Other warnings are about oddities that every viewer shows without a word, and so does Pillow.
      if (jpeg->err->msg_code == JWRN_JPEG_EOF) fail(jpeg);
    };
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      const auto* const self = reinterpret_cast<j_decompress_ptr>(jpeg);
      if (self->input_scan_number > max_scans) fail(jpeg, "too many scans");
    };
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }

  bool read_header(const unsigned char* data, std::size_t size) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, data, static_cast<unsigned long>(size));
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool start() {
    if (setjmp(errors_.jump) != 0) return false;
    switch (jpeg_.jpeg_color_space) {
      case JCS_GRAYSCALE:
        jpeg_.out_color_space = JCS_GRAYSCALE;
        break;
      case JCS_CMYK:
      case JCS_YCCK:
        jpeg_.out_color_space = JCS_CMYK;
        break;
      default:
        jpeg_.out_color_space = JCS_RGB;
    }
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  bool read_row(unsigned char* row) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_read_scanlines(&jpeg_, &row, 1);
    return true;
  }

  const jpeg_decompress_struct& jpeg() const { return jpeg_; }
  const char* message() const { return errors_.message; }

 private:
  struct Errors {
    jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is a pointer to Errors
    std::jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
  };

  [[noreturn]] static void fail(j_common_ptr jpeg, const char* message = nullptr) {
    auto* const errors = reinterpret_cast<Errors*>(jpeg->err);
    if (message != nullptr) {
      std::snprintf(errors->message, sizeof errors->message, "%s", message);
    } else {
      errors->base.format_message(jpeg, errors->message);
    }
    std::longjmp(errors->jump, 1);
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_progress_mgr progress_{};
  Errors errors_{};
};

// One row of CMYK as Adobe writes it (inverted) to RGB, in the rounding of Pillow.
void cmyk_to_rgb(const unsigned char* cmyk, std::size_t width, unsigned char* rgb) {
  for (std::size_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const unsigned black = cmyk[3];
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned product = (255U - cmyk[c]) * black + 128;
      rgb[c] = static_cast<unsigned char>(black - (((product >> 8) + product) >> 8));
    }
  }
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> file, const std::string& path) {
  JpegReader reader;
  const auto check = [&](bool done) {
    if (!done) throw RunError("image", "{}: damaged JPEG: {}", path, reader.message());
  };
  check(reader.read_header(reinterpret_cast<const unsigned char*>(file.data()), file.size()));
  check_image_size(reader.jpeg().image_height, reader.jpeg().image_width, path);
  check(reader.start());

  const bool cmyk = reader.jpeg().out_color_space == JCS_CMYK;
  Image image{reader.jpeg().image_height,
              reader.jpeg().image_width,
              reader.jpeg().out_color_space == JCS_GRAYSCALE ? std::size_t{1} : std::size_t{3},
              {}};
  const std::size_t row_bytes = image.width * image.channels;
  image.pixels.resize(image.height * row_bytes);
  std::vector<unsigned char> cmyk_row(cmyk ? image.width * 4 : 0);
  auto* row = reinterpret_cast<unsigned char*>(image.pixels.data());
  for (std::size_t y = 0; y < image.height; ++y, row += row_bytes) {
    check(reader.read_row(cmyk ? cmyk_row.data() : row));
    if (cmyk) cmyk_to_rgb(cmyk_row.data(), image.width, row);
  }
  return image;
}

}  // namespace trainyard
