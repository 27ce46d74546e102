/// Converts pixels to integers, for matchers.
#pragma once

#include <cstddef>
#include <vector>

#include "images/image.h"

namespace trainyard {

inline std::vector<int> pixel_values(const Image& image) {
  std::vector<int> result;
  for (const std::byte value : image.pixels) result.push_back(std::to_integer<int>(value));
  return result;
}

}  // namespace trainyard
