/// Rotates images as their EXIF orientation specifies.
#pragma once

#include <memory>

#include "images/decode_image.h"

namespace trainyard {

/// How to convert the stored image to the upright one: mirror it, then transpose it.
struct Turn {
  bool mirror_rows = false;     ///< swap top and bottom
  bool mirror_columns = false;  ///< swap left and right
  bool transpose = false;

  explicit Turn(int orientation)
      : mirror_rows(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7),
        mirror_columns(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
        transpose(orientation >= 5) {}

  ImageSize upright(ImageSize stored) const { return transpose ? ImageSize{stored.width, stored.height} : stored; }

  /// Returns the part of the stored image, of size `stored`, that corresponds to `part` of the upright one.
  Rect stored_part(const Rect& part, ImageSize stored) const {
    Rect result = transpose ? Rect{part.left, part.top, part.width, part.height} : part;
    if (mirror_rows) result.top = static_cast<std::ptrdiff_t>(stored.height) - result.bottom();
    if (mirror_columns) result.left = static_cast<std::ptrdiff_t>(stored.width) - result.right();
    return result;
  }
};

/// Returns a reader of the upright image of `reader`; `orientation` is EXIF's, 1 to 8. Only the requested part is
/// decoded.
std::unique_ptr<ImageReader> turned_upright(std::unique_ptr<ImageReader> reader, int orientation);

}  // namespace trainyard
