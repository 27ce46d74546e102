/// Masks in colour.
#pragma once

#include "images/encode_png.h"
#include "images/image.h"

namespace trainyard {

/// 256 colours that are easy to tell apart, the first black: those of the PASCAL VOC challenge.
const Palette& mask_palette();

/// `image` (grey or RGB) with the classes of `mask`, of the same size and 1 channel, painted over it, half transparent.
Image overlay(const Image& image, const Image& mask);

/// Pictures of one height, side by side.
Image side_by_side(const std::vector<Image>& pictures);

}  // namespace trainyard
