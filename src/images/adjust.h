/// Changes of a picture's colours, in place, with the pixels of Pillow's ImageEnhance and ImageOps and of torchvision's
/// adjust_hue. Pictures of 1 channel (grey) or 3 (RGB); a grey one has no colours to change. Safe from many threads.
#pragma once

#include "images/image.h"

namespace trainyard {

// By a factor of 0 or more: 1 changes nothing; 0 gives black, an even grey, a grey picture, a smooth picture.
void adjust_brightness(const ImageView& image, float factor);
void adjust_contrast(const ImageView& image, float factor);
void adjust_saturation(const ImageView& image, float factor);
void adjust_sharpness(const ImageView& image, float factor);

/// Turns the colours by `shift` of the colour circle, -0.5 to 0.5.
void adjust_hue(const ImageView& image, double shift);

/// Keeps the highest `bits` of each value, 0 to 8.
void posterize(const ImageView& image, int bits);
/// Inverts the values from `threshold` on.
void solarize(const ImageView& image, int threshold);
/// Stretches each channel to the whole range.
void autocontrast(const ImageView& image);
/// Makes all values of each channel equally frequent, as far as that goes.
void equalize(const ImageView& image);

/// Pixel (x, y) becomes the one at (a x + b y + c, d x + e y + f), the nearest one, black outside; coordinates count
/// from the middle of a pixel, as in Pillow's transform(size, AFFINE, (a, b, c, d, e, f), NEAREST).
struct AffineMap {
  double a, b, c, d, e, f;
};
/// `scratch` holds a copy of the picture meanwhile.
void transform_affine(const ImageView& image, const AffineMap& map, Scratch& scratch);
/// Counter-clockwise around the middle.
AffineMap rotation(ImageSize size, double degrees);

}  // namespace trainyard
