/// A picture in memory.
#pragma once

#include <cstddef>
#include <vector>

namespace trainyard {

/// uint8 pixels, height × width × channels, channels 1 (grey) or 3 (red, green, blue).
struct Image {
  std::size_t height = 0;
  std::size_t width = 0;
  std::size_t channels = 0;
  std::vector<std::byte> pixels;
};

/// Largest picture that is decoded, in pixels.
inline constexpr std::size_t max_image_pixels = 100'000'000;

}  // namespace trainyard
