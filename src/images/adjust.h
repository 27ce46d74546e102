/// Adjusts the colours of an image in place, with the same pixels as Pillow's ImageEnhance and ImageOps and
/// torchvision's adjust_hue. Images have 1 channel (grey) or 3 (RGB); adjustments of colour do not change a grey one.
/// Thread-safe.
#pragma once

#include "images/image.h"

namespace trainyard {

// Factors are 0 or more: 1 changes nothing; 0 gives a black, uniformly grey, grey or smoothed image, respectively.
void adjust_brightness(const ImageView& image, float factor);
void adjust_contrast(const ImageView& image, float factor);
void adjust_saturation(const ImageView& image, float factor);
void adjust_sharpness(const ImageView& image, float factor);

/// Rotates the hue by `shift` of the colour circle, -0.5 to 0.5.
void adjust_hue(const ImageView& image, double shift);

/// Keeps the highest `bits` of each value, 0 to 8.
void posterize(const ImageView& image, int bits);
/// Inverts the values at or above `threshold`.
void solarize(const ImageView& image, int threshold);
/// Stretches each channel to the full range.
void autocontrast(const ImageView& image);
/// Equalizes the histogram of each channel.
void equalize(const ImageView& image);

/// Pixel (x, y) becomes the nearest one to (a x + b y + c, d x + e y + f), black outside the image. Coordinates are
/// relative to pixel centres, as in Pillow's transform(size, AFFINE, (a, b, c, d, e, f), NEAREST).
struct AffineMap {
  double a, b, c, d, e, f;
};
/// `scratch` temporarily holds a copy of the image.
void transform_affine(const ImageView& image, const AffineMap& map, Scratch& scratch);
/// A counter-clockwise rotation around the centre.
AffineMap rotation(ImageSize size, double degrees);

}  // namespace trainyard
