/// Resizing pictures, with the pixels of Pillow's `image.resize((width, height), Image.BILINEAR)`, which is what
/// torchvision calls bilinear with antialias.
#pragma once

#include "transforms/image.h"

namespace trainyard {

/// `image` at height × width, each at least 1 and together at most max_image_pixels; any number of channels.
/// A triangle filter as wide as the scale down asks for, first along rows and then along columns, each rounded to 8
/// bits. Algorithm and 22-bit fixed-point weights: Pillow, src/libImaging/Resample.c.
Image resize(const Image& image, std::size_t height, std::size_t width);

}  // namespace trainyard
