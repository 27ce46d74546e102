/// Shrinks images and arranges several in a grid.
#pragma once

#include <cstddef>
#include <vector>

#include "images/image.h"

namespace trainyard {

/// Downscales `image` so that neither side exceeds `side` pixels.
Image thumbnail(const Image& image, std::size_t side);

/// Arranges images of equal size row by row, `columns` per row, with two dark pixels between them. At least one image.
Image image_grid(const std::vector<Image>& images, std::size_t columns);

}  // namespace trainyard
