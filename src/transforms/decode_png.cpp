// PNG by libpng. Its errors come by longjmp; as for JPEG, every call into it is made from a function that has nothing
// but plain C objects and says by `false` that the call failed.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include "transforms/decode_image.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// Deflate makes at most this many bytes of one.
constexpr std::size_t max_expansion = 1032;

class PngReader {
 public:
  PngReader(const unsigned char* data, std::size_t size) : data_(data), left_(size) {}
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  bool read_header() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](png_structp, png_const_charp) {});
    if (png_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    info_ = png_create_info_struct(png_);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }

  /// Asks for 8-bit grey or RGB.
  bool start() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    if (png_get_color_type(png_, info_) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_rows(unsigned char* pixels, std::size_t height, std::size_t row_bytes) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::size_t y = 0; y < height; ++y) png_read_row(png_, pixels + y * row_bytes, nullptr);
    }
    return true;
  }

  std::size_t height() const { return png_get_image_height(png_, info_); }
  std::size_t width() const { return png_get_image_width(png_, info_); }
  std::size_t channels() const { return png_get_channels(png_, info_); }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  const char* message() const { return message_; }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* const self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof self->message_, "%s", message);
    png_longjmp(png, 1);
  }

  static void on_read(png_structp png, png_bytep out, std::size_t size) {
    auto* const self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > self->left_) png_error(png, "the file ends too early");
    std::memcpy(out, self->data_, size);
    self->data_ += size;
    self->left_ -= size;
  }

  const unsigned char* data_;
  std::size_t left_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  char message_[128] = "out of memory";
};

}  // namespace

Image decode_png(std::span<const std::byte> file, const std::string& path) {
  PngReader reader(reinterpret_cast<const unsigned char*>(file.data()), file.size());
  const auto check = [&](bool done) {
    if (!done) throw RunError("image", "{}: damaged PNG: {}", path, reader.message());
  };
  check(reader.read_header());
  check_image_size(reader.height(), reader.width(), path);
  if (reader.height() * reader.row_bytes() / max_expansion > file.size()) {
    throw RunError("image", "{}: damaged PNG: {} bytes cannot hold {} x {} pixels", path, file.size(), reader.width(),
                   reader.height());
  }
  check(reader.start());

  Image image{reader.height(), reader.width(), reader.channels(), {}};
  const std::size_t row_bytes = image.width * image.channels;
  if (reader.row_bytes() != row_bytes) throw RunError("image", "{}: damaged PNG: odd sample format", path);
  image.pixels.resize(image.height * row_bytes);
  check(reader.read_rows(reinterpret_cast<unsigned char*>(image.pixels.data()), image.height, row_bytes));
  return image;
}

}  // namespace trainyard
