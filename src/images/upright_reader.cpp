#include "images/upright_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace trainyard {
namespace {

template <std::size_t channels>
void turn(const Turn& how, const ConstImageView& stored, std::byte* out) {
  // Steps in the stored image that correspond to one pixel down and one to the right in the upright one.
  std::ptrdiff_t down = static_cast<std::ptrdiff_t>(stored.row_bytes) * (how.mirror_rows ? -1 : 1);
  std::ptrdiff_t right = static_cast<std::ptrdiff_t>(channels) * (how.mirror_columns ? -1 : 1);
  const std::byte* const first =
      stored.row(how.mirror_rows ? stored.height - 1 : 0) + (how.mirror_columns ? (stored.width - 1) * channels : 0);
  if (how.transpose) std::swap(down, right);
  const ImageSize size = how.upright(stored.size());

  constexpr std::size_t strip = 64;  // columns at a time, so that the stored rows stay in the cache between two rows
  for (std::size_t left = 0; left < size.width; left += strip) {
    const std::size_t end = std::min(left + strip, size.width);
    for (std::size_t y = 0; y < size.height; ++y) {
      const std::byte* from = first + static_cast<std::ptrdiff_t>(y) * down + static_cast<std::ptrdiff_t>(left) * right;
      std::byte* to = out + (y * size.width + left) * channels;
      for (std::size_t x = left; x < end; ++x, from += right) to = std::copy_n(from, channels, to);
    }
  }
}

class UprightReader final : public ImageReader {
 public:
  UprightReader(std::unique_ptr<ImageReader> reader, int orientation)
      : ImageReader(Turn(orientation).upright(reader->size()), reader->path()),
        orientation_(orientation),
        turn_(orientation),
        reader_(std::move(reader)) {}

  // A mirrored side must be a multiple of `shrink`, or the blocks would not align with those of the upright image.
  bool can_shrink(std::size_t shrink) const override {
    const ImageSize stored = reader_->size();
    return reader_->can_shrink(shrink) && !(turn_.mirror_rows && stored.height % shrink != 0) &&
           !(turn_.mirror_columns && stored.width % shrink != 0);
  }

  std::optional<JpegLayout> layout_for_gpu() const override {
    std::optional<JpegLayout> layout = reader_->layout_for_gpu();
    if (layout) layout->orientation = static_cast<std::uint8_t>(orientation_);
    return layout;
  }

  void read(const Rect& part, std::size_t channels, std::size_t shrink, std::byte* out) override {
    const Rect stored_part = turn_.stored_part(part, reader_->size(shrink));
    std::vector<std::byte> pixels(stored_part.height * stored_part.width * channels);
    reader_->read(stored_part, channels, shrink, pixels.data());
    const ConstImageView stored(pixels.data(), stored_part.size(), channels);
    channels == 1 ? turn<1>(turn_, stored, out) : turn<3>(turn_, stored, out);
  }

 private:
  int orientation_;
  Turn turn_;
  std::unique_ptr<ImageReader> reader_;
};

}  // namespace

std::unique_ptr<ImageReader> turned_upright(std::unique_ptr<ImageReader> reader, int orientation) {
  return std::make_unique<UprightReader>(std::move(reader), orientation);
}

}  // namespace trainyard
