/// Samples as pictures for people.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "datasets/dataset.h"
#include "images/image.h"

namespace trainyard {

/// The picture of a field of height × width × channels: floats are taken as 0 to 1, and where there are not 3
/// channels the first is shown, grey. Throws RunError for samples of another rank.
Image sample_image(std::span<const std::byte> sample, const Field& field);

/// Scaled down so that neither side is over `side` pixels.
Image thumbnail(const Image& image, std::size_t side);

/// Pictures of one size, row by row, `columns` a row, with two dark pixels between them. At least one picture.
Image image_grid(const std::vector<Image>& pictures, std::size_t columns);

}  // namespace trainyard
