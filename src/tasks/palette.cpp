#include "tasks/palette.h"

namespace trainyard {
namespace {

// Bits 0, 3 and 6 of the index become the highest bits of red, bits 1, 4 and 7 those of green, bits 2 and 5 those of
// blue.
Palette voc_palette() {
  Palette palette(256);
  for (unsigned i = 0; i < palette.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      palette[i][bit % 3] = static_cast<std::uint8_t>(palette[i][bit % 3] | (i >> bit & 1) << (7 - bit / 3));
    }
  }
  return palette;
}

}  // namespace

const Palette& mask_palette() {
  static const Palette palette = voc_palette();
  return palette;
}

Image overlay(const Image& image, const Image& mask) {
  Image result{image.height, image.width, 3, {}};
  result.pixels.reserve(3 * mask.pixels.size());
  for (std::size_t i = 0; i < mask.pixels.size(); ++i) {
    const auto& colour = mask_palette()[std::to_integer<std::size_t>(mask.pixels[i])];
    for (std::size_t c = 0; c < 3; ++c) {
      const auto under = std::to_integer<unsigned>(image.pixels[image.channels == 3 ? 3 * i + c : i]);
      result.pixels.push_back(static_cast<std::byte>((under + colour[c]) / 2));
    }
  }
  return result;
}

Image side_by_side(const std::vector<Image>& images) {
  Image result{images.front().height, 0, images.front().channels, {}};
  for (const Image& image : images) result.width += image.width;
  for (std::size_t y = 0; y < result.height; ++y) {
    for (const Image& image : images) {
      const auto row = image.pixels.begin() + static_cast<std::ptrdiff_t>(y * image.width * image.channels);
      result.pixels.insert(result.pixels.end(), row, row + static_cast<std::ptrdiff_t>(image.width * image.channels));
    }
  }
  return result;
}

}  // namespace trainyard
