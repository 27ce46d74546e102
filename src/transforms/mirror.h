/// Flips images horizontally.
#pragma once

#include "images/image.h"

namespace trainyard {

/// Swaps left and right in place.
void mirror(const ImageView& image);

}  // namespace trainyard
