/// Rotates images as their EXIF orientation specifies.
#pragma once

#include <memory>

#include "images/decode_image.h"

namespace trainyard {

/// Returns a reader of the upright image of `reader`; `orientation` is EXIF's, 1 to 8. Only the requested part is
/// decoded.
std::unique_ptr<ImageReader> turned_upright(std::unique_ptr<ImageReader> reader, int orientation);

}  // namespace trainyard
