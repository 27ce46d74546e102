/// Small pictures, and many in one.
#pragma once

#include <cstddef>
#include <vector>

#include "images/image.h"

namespace trainyard {

/// Scaled down so that neither side is over `side` pixels.
Image thumbnail(const Image& image, std::size_t side);

/// Pictures of one size, row by row, `columns` a row, with two dark pixels between them. At least one picture.
Image image_grid(const std::vector<Image>& pictures, std::size_t columns);

}  // namespace trainyard
