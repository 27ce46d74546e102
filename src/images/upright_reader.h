/// Pictures turned as their EXIF orientation asks.
#pragma once

#include <memory>

#include "images/decode_image.h"

namespace trainyard {

/// A reader of the picture that `reader` has, turned upright; `orientation` is EXIF's, 1 to 8. Only the part that is
/// wanted is decoded.
std::unique_ptr<ImageReader> turned_upright(std::unique_ptr<ImageReader> reader, int orientation);

}  // namespace trainyard
