#include "report/thumbnail.h"

#include <algorithm>
#include <cstring>

#include "images/resample.h"
#include "util/error.h"

namespace trainyard {
namespace {

constexpr std::size_t gap = 2;
constexpr std::byte dark{32};

}  // namespace

Image thumbnail(const Image& image, std::size_t side) {
  const std::size_t longer = std::max(image.height, image.width);
  if (longer <= side) return image;
  const auto scaled = [&](std::size_t extent) { return std::max<std::size_t>(extent * side / longer, 1); };
  return resize(image, {scaled(image.height), scaled(image.width)});
}

Image image_grid(const std::vector<Image>& images, std::size_t columns) {
  const Image& first = images.at(0);
  columns = std::clamp<std::size_t>(columns, 1, images.size());
  const std::size_t rows = (images.size() + columns - 1) / columns;
  Image grid{rows * (first.height + gap) - gap, columns * (first.width + gap) - gap, first.channels, {}};
  grid.pixels.assign(grid.height * grid.width * grid.channels, dark);
  const std::size_t row_bytes = first.width * first.channels;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (images[i].pixels.size() != first.pixels.size()) throw RunError("image", "images of several sizes");
    const std::size_t top = i / columns * (first.height + gap);
    const std::size_t left = i % columns * (first.width + gap);
    for (std::size_t y = 0; y < first.height; ++y) {
      std::memcpy(grid.pixels.data() + ((top + y) * grid.width + left) * grid.channels,
                  images[i].pixels.data() + y * row_bytes, row_bytes);
    }
  }
  return grid;
}

}  // namespace trainyard
