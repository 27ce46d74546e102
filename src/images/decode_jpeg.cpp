// Decodes JPEG with libjpeg-turbo.
#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include <jerror.h>

#include "images/baseline_jpeg.h"
#include "images/decode_image.h"
#include "images/jpeg_errors.h"
#include "images/scaled_jpeg.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// Maximum number of passes of a progressive file. A tiny file with countless passes over a huge image takes hours.
constexpr int max_scans = 500;

/// Chroma upsampling of a pixel reads at most this many pixels to each side.
constexpr std::ptrdiff_t margin = 2;

// Converts one row of CMYK as Adobe stores it (inverted) to RGB in place, rounded like Pillow.
void cmyk_to_rgb(unsigned char* row, std::size_t width) {
  const unsigned char* cmyk = row;
  for (std::size_t x = 0; x < width; ++x, cmyk += 4, row += 3) {
    const unsigned black = cmyk[3];
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned product = (255U - cmyk[c]) * black + 128;
      row[c] = static_cast<unsigned char>(black - (((product >> 8) + product) >> 8));
    }
  }
}

/// libjpeg's decompressor and its state. Functions return false if libjpeg failed (jpeg_errors.h).
class Decompressor {
 public:
  Decompressor() {
    jpeg_.err = &errors_.base;
    errors_.base.emit_message = [](j_common_ptr jpeg, int) {
      // Other warnings are about oddities that every viewer, including Pillow, ignores.
      if (jpeg->err->msg_code == JWRN_JPEG_EOF) JpegErrors::fail(jpeg);
    };
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      const auto* const self = reinterpret_cast<j_decompress_ptr>(jpeg);
      if (self->input_scan_number > max_scans) JpegErrors::fail(jpeg, "too many scans");
    };
  }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor() { jpeg_destroy_decompress(&jpeg_); }

  bool read_header(const unsigned char* data, std::size_t size) {
    file_ = {reinterpret_cast<const char*>(data), size};
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, data, static_cast<unsigned long>(size));
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  /// Prepares to read the rows from `part.top` on, with at least the columns of the part. `row` holds a whole row.
  bool start(const Rect& part, std::size_t channels, std::size_t shrink, unsigned char* row) {
    if (setjmp(errors_.jump) != 0) return false;
    const bool cmyk = jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
    const bool grey = jpeg_.jpeg_color_space == JCS_GRAYSCALE && channels == 1;
    jpeg_.out_color_space = cmyk ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_.scale_num = 1;
    jpeg_.scale_denom = static_cast<unsigned>(shrink);
    jpeg_start_decompress(&jpeg_);

    auto left = static_cast<JDIMENSION>(std::max<std::ptrdiff_t>(part.left - margin, 0));
    const auto right = std::min(static_cast<JDIMENSION>(part.right() + margin), jpeg_.output_width);
    JDIMENSION width = right - left;
    if (width < jpeg_.output_width) jpeg_crop_scanline(&jpeg_, &left, &width);
    left_ = left;
    const auto first = static_cast<JDIMENSION>(std::max<std::ptrdiff_t>(part.top - margin, 0));
    if (first > 0) jpeg_skip_scanlines(&jpeg_, first);
    while (static_cast<std::ptrdiff_t>(jpeg_.output_scanline) < part.top) jpeg_read_scanlines(&jpeg_, &row, 1);
    return true;
  }

  bool read_row(unsigned char* row) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_read_scanlines(&jpeg_, &row, 1);
    return true;
  }

  const jpeg_decompress_struct& header() const { return jpeg_; }
  ImageSize size() const { return {jpeg_.image_height, jpeg_.image_width}; }
  /// Position and format of the rows that are read.
  std::size_t left() const { return left_; }
  std::size_t width() const { return jpeg_.output_width; }
  J_COLOR_SPACE color_space() const { return jpeg_.out_color_space; }
  const char* message() const { return errors_.message; }
  /// Whether an end marker follows the header. Only then is the file sure to be complete if it has a single scan.
  bool has_end() const {
    const std::size_t end = file_.rfind("\xff\xd9");
    return end != std::string_view::npos &&
           file_.data() + end >= reinterpret_cast<const char*>(jpeg_.src->next_input_byte);
  }
  /// Whether the file is truncated, which libjpeg reports in different ways: no end marker follows the last scan.
  /// Neither marker occurs within a scan.
  bool is_truncated() const {
    const std::size_t end = file_.rfind("\xff\xd9");
    const std::size_t scan = file_.rfind("\xff\xda");
    return end == std::string_view::npos || (scan != std::string_view::npos && end < scan);
  }

 private:
  jpeg_decompress_struct jpeg_{};
  jpeg_progress_mgr progress_{};
  JpegErrors errors_;
  std::string_view file_;
  std::size_t left_ = 0;
};

void check(bool done, const Decompressor& decompressor, const std::string& path) {
  if (done) return;
  if (decompressor.is_truncated()) throw RunError("image", "{}: truncated JPEG: fetch it again", path);
  throw RunError("image", "{}: damaged JPEG: {}", path, decompressor.message());
}

std::unique_ptr<Decompressor> with_header(std::span<const std::byte> file, const std::string& path) {
  auto decompressor = std::make_unique<Decompressor>();
  check(decompressor->read_header(reinterpret_cast<const unsigned char*>(file.data()), file.size()), *decompressor,
        path);
  return decompressor;
}

class JpegReader final : public ImageReader {
 public:
  JpegReader(std::unique_ptr<Decompressor> decompressor, const std::string& path)
      : ImageReader(decompressor->size(), path), decompressor_(std::move(decompressor)) {}

  bool can_shrink(std::size_t /*shrink*/) const override { return true; }

  std::optional<JpegLayout> layout_for_gpu() const override {
    return decompressor_->has_end() ? layout_of(decompressor_->header()) : std::nullopt;
  }

  void read(const Rect& part, std::size_t channels, std::size_t shrink, std::byte* out) override {
    if (shrink > 1 && read_scaled(decompressor_->header(), part, channels, shrink, out)) return;
    std::vector<unsigned char> row(size(shrink).width * 4);
    check(decompressor_->start(part, channels, shrink, row.data()), *decompressor_, path_);
    const J_COLOR_SPACE space = decompressor_->color_space();
    const std::size_t skipped = static_cast<std::size_t>(part.left) - decompressor_->left();
    const std::size_t row_bytes = part.width * channels;
    const bool as_it_comes = space == (channels == 1 ? JCS_GRAYSCALE : JCS_RGB) && decompressor_->width() == part.width;
    for (std::size_t y = 0; y < part.height; ++y, out += row_bytes) {
      auto* const pixels = reinterpret_cast<unsigned char*>(out);
      check(decompressor_->read_row(as_it_comes ? pixels : row.data()), *decompressor_, path_);
      if (as_it_comes) continue;
      if (space == JCS_CMYK) cmyk_to_rgb(row.data(), decompressor_->width());
      if (space != JCS_GRAYSCALE && channels == 1) {
        rgb_to_grey(reinterpret_cast<const std::byte*>(row.data()) + skipped * 3, part.width, out);
      } else {
        std::memcpy(out, row.data() + skipped * channels, row_bytes);
      }
    }
  }

 private:
  std::unique_ptr<Decompressor> decompressor_;
};

}  // namespace

std::unique_ptr<ImageReader> open_jpeg(std::span<const std::byte> file, const std::string& path) {
  return std::make_unique<JpegReader>(with_header(file, path), path);
}

}  // namespace trainyard
