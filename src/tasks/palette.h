/// Draws masks in colour.
#pragma once

#include "images/encode_png.h"
#include "images/image.h"

namespace trainyard {

/// 256 distinct colours, the first one black: the palette of the PASCAL VOC challenge.
const Palette& mask_palette();

/// Returns `image` (grey or RGB) with the classes of `mask` drawn over it, half transparent. mask: the same size, one
/// channel.
Image overlay(const Image& image, const Image& mask);

/// Joins images of the same height side by side.
Image side_by_side(const std::vector<Image>& images);

}  // namespace trainyard
