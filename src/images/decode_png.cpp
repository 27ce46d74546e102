// Decodes PNG with libpng. Its errors are reported by longjmp; as for JPEG, every call into it is made from a function
// that has only plain C objects and returns false if the call failed.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <png.h>

#include "images/decode_image.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// Deflate expands one byte to at most this many.
constexpr std::size_t max_expansion = 1032;

class Decoder {
 public:
  Decoder(const unsigned char* data, std::size_t size) : data_(data), left_(size) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png_, &info_, nullptr); }

  bool read_header() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](png_structp, png_const_charp) {});
    if (png_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    info_ = png_create_info_struct(png_);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }

  /// Requests 8-bit grey or RGB.
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

  /// Requests the values in the file, one byte each, neither scaled nor mapped through a palette. REQUIRES is_mask().
  bool start_mask() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_packing(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  /// Reads the next row of a non-interlaced image.
  bool read_row(unsigned char* row) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_row(png_, row, nullptr);
    return true;
  }

  bool read_interlaced(unsigned char* pixels) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::size_t y = 0; y < height(); ++y) png_read_row(png_, pixels + y * row_bytes(), nullptr);
    }
    return true;
  }

  bool interlaced() const { return passes_ > 1; }
  std::size_t height() const { return png_get_image_height(png_, info_); }
  std::size_t width() const { return png_get_image_width(png_, info_); }
  std::size_t channels() const { return png_get_channels(png_, info_); }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  /// Whether it is grey or has a palette, with at most 8 bits.
  bool is_mask() const {
    const int type = png_get_color_type(png_, info_);
    return (type == PNG_COLOR_TYPE_PALETTE || type == PNG_COLOR_TYPE_GRAY) && png_get_bit_depth(png_, info_) <= 8;
  }
  /// Returns e.g. "16-bit RGB with alpha".
  std::string description() const {
    const int type = png_get_color_type(png_, info_);
    return fmt::format("{}-bit {}{}", png_get_bit_depth(png_, info_),
                       (type & PNG_COLOR_MASK_PALETTE) != 0 ? "palette"
                       : (type & PNG_COLOR_MASK_COLOR) != 0 ? "RGB"
                                                            : "grey",
                       (type & PNG_COLOR_MASK_ALPHA) != 0 ? " with alpha" : "");
  }
  /// Throws the error of the last call that returned false.
  [[noreturn]] void fail(const std::string& path) const {
    if (truncated_) throw RunError("image", "{}: truncated PNG: fetch it again", path);
    throw RunError("image", "{}: damaged PNG: {}", path, message_);
  }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* const self = static_cast<Decoder*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof self->message_, "%s", message);
    png_longjmp(png, 1);
  }

  static void on_read(png_structp png, png_bytep out, std::size_t size) {
    auto* const self = static_cast<Decoder*>(png_get_io_ptr(png));
    self->truncated_ = size > self->left_;
    if (self->truncated_) png_error(png, "the file ends too early");
    std::memcpy(out, self->data_, size);
    self->data_ += size;
    self->left_ -= size;
  }

  const unsigned char* data_;
  std::size_t left_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  bool truncated_ = false;
  char message_[128] = "out of memory";
};

class PngReader final : public ImageReader {
 public:
  PngReader(std::unique_ptr<Decoder> decoder, std::size_t file_size, const std::string& path, bool as_mask)
      : ImageReader({decoder->height(), decoder->width()}, path),
        decoder_(std::move(decoder)),
        file_size_(file_size),
        as_mask_(as_mask) {}

  bool can_shrink(std::size_t /*shrink*/) const override { return false; }

  void read(const Rect& part, std::size_t channels, std::size_t /*shrink*/, std::byte* out) override {
    if (size_.height * decoder_->row_bytes() / max_expansion > file_size_) {
      throw RunError("image", "{}: damaged PNG: {} bytes cannot hold {} x {} pixels", path_, file_size_, size_.width,
                     size_.height);
    }
    check(as_mask_ ? decoder_->start_mask() : decoder_->start());
    const std::size_t row_bytes = decoder_->row_bytes();
    if (row_bytes != size_.width * decoder_->channels()) {
      throw RunError("image", "{}: damaged PNG: odd sample format", path_);
    }
    std::vector<unsigned char> rows(decoder_->interlaced() ? row_bytes * size_.height : row_bytes);
    if (decoder_->interlaced()) check(decoder_->read_interlaced(rows.data()));
    for (std::ptrdiff_t y = 0; y < part.bottom(); ++y) {
      const unsigned char* row = rows.data();
      if (decoder_->interlaced()) {
        row += static_cast<std::size_t>(y) * row_bytes;
      } else {
        check(decoder_->read_row(rows.data()));
      }
      if (y < part.top) continue;
      convert_row(reinterpret_cast<const std::byte*>(row) + static_cast<std::size_t>(part.left) * decoder_->channels(),
                  part.width, channels, out);
      out += part.width * channels;
    }
  }

 private:
  void check(bool done) const {
    if (!done) decoder_->fail(path_);
  }

  void convert_row(const std::byte* row, std::size_t width, std::size_t channels, std::byte* out) const {
    if (decoder_->channels() == channels) {
      std::memcpy(out, row, width * channels);
    } else if (channels == 1) {
      rgb_to_grey(row, width, out);
    } else {
      for (std::size_t x = 0; x < width; ++x) out = std::fill_n(out, 3, row[x]);
    }
  }

  std::unique_ptr<Decoder> decoder_;
  std::size_t file_size_;
  bool as_mask_;
};

std::unique_ptr<Decoder> with_header(std::span<const std::byte> file, const std::string& path) {
  auto decoder = std::make_unique<Decoder>(reinterpret_cast<const unsigned char*>(file.data()), file.size());
  if (!decoder->read_header()) decoder->fail(path);
  return decoder;
}

}  // namespace

std::unique_ptr<ImageReader> open_png(std::span<const std::byte> file, const std::string& path) {
  return std::make_unique<PngReader>(with_header(file, path), file.size(), path, /*as_mask=*/false);
}

std::unique_ptr<ImageReader> open_png_mask(std::span<const std::byte> file, const std::string& path) {
  auto decoder = with_header(file, path);
  if (!decoder->is_mask()) {
    throw RunError("image",
                   "{}: a PNG in {}; a mask has 1 channel of at most 8 bits, grey or a palette, whose numbers are the "
                   "classes",
                   path, decoder->description());
  }
  return std::make_unique<PngReader>(std::move(decoder), file.size(), path, /*as_mask=*/true);
}

}  // namespace trainyard
