#include "transforms/mirror.h"

#include <algorithm>

namespace trainyard {
namespace {

// Pixels of compile-time size are swapped as words, not byte by byte.
template <std::size_t channels>
void mirror_row(std::byte* left, std::size_t width) {
  struct Pixel {
    std::byte values[channels];
  };
  auto* const pixels = reinterpret_cast<Pixel*>(left);
  std::reverse(pixels, pixels + width);
}

void mirror_any_row(std::byte* row, std::size_t width, std::size_t channels) {
  std::byte* right = row + width * channels;
  for (std::byte* left = row; left + channels < right; left += channels) {
    right -= channels;
    std::swap_ranges(left, left + channels, right);
  }
}

}  // namespace

void mirror(const ImageView& image) {
  for (std::size_t y = 0; y < image.height; ++y) {
    if (image.channels == 1) {
      mirror_row<1>(image.row(y), image.width);
    } else if (image.channels == 3) {
      mirror_row<3>(image.row(y), image.width);
    } else {
      mirror_any_row(image.row(y), image.width, image.channels);
    }
  }
}

}  // namespace trainyard
