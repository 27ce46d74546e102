/// Pixels to JPEG files.
#pragma once

#include <vector>

#include "images/image.h"

namespace trainyard {

/// A baseline JPEG of a picture of 1 channel (grey) or 3 (RGB, colours at half the size, as Pillow writes them), each
/// side at most 65,500; quality 1 to 100. Throws RunError "image".
std::vector<std::byte> encode_jpeg(const ConstImageView& image, int quality);

}  // namespace trainyard
