/// Encodes pixels as JPEG files.
#pragma once

#include <vector>

#include "images/image.h"

namespace trainyard {

/// Returns a baseline JPEG of an image of 1 channel (grey) or 3 (RGB, with 4:2:0 chroma subsampling, Pillow's default),
/// each side at most 65,500; quality 1 to 100. Throws RunError "image".
std::vector<std::byte> encode_jpeg(const ConstImageView& image, int quality);

}  // namespace trainyard
