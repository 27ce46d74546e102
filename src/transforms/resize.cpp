#include "transforms/resize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

namespace trainyard {
namespace {

constexpr int weight_bits = 22;  // 8 bits of pixel and a sign leave that many of 32, with one to spare
constexpr std::int32_t half = 1 << (weight_bits - 1);

/// The weighted inputs of each output along one axis.
struct Filter {
  struct Window {
    std::size_t first;  // input of the first weight
    std::size_t count;
    std::size_t weights;  // place of the first weight
  };
  std::vector<Window> windows;
  std::vector<std::int32_t> weights;

  std::span<const std::int32_t> weights_of(const Window& window) const {
    return std::span(weights).subspan(window.weights, window.count);
  }
};

Filter triangle_filter(std::size_t in_size, std::size_t out_size) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double radius = std::max(scale, 1.0);
  Filter filter;
  std::vector<double> exact;
  for (std::size_t out = 0; out < out_size; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const auto first = static_cast<std::size_t>(std::max(center - radius + 0.5, 0.0));
    const auto last = std::min(static_cast<std::size_t>(center + radius + 0.5), in_size);
    exact.clear();
    double sum = 0;
    for (std::size_t in = first; in < last; ++in) {
      const double distance = std::abs((static_cast<double>(in) - center + 0.5) / radius);
      exact.push_back(std::max(1 - distance, 0.0));
      sum += exact.back();
    }
    filter.windows.push_back({first, last - first, filter.weights.size()});
    for (const double weight : exact) {
      filter.weights.push_back(static_cast<std::int32_t>(0.5 + weight / sum * (1 << weight_bits)));
    }
  }
  return filter;
}

// Weights are not negative and their rounding cannot lift a sum over 255.5: only the shift is needed, no clamp below 0.
std::byte to_pixel(std::int32_t sum) { return static_cast<std::byte>(std::min(sum >> weight_bits, 255)); }

Image resize_rows(const Image& image, std::size_t width) {
  const Filter filter = triangle_filter(image.width, width);
  const std::size_t channels = image.channels;
  Image result{image.height, width, channels, std::vector<std::byte>(image.height * width * channels)};
  std::byte* out = result.pixels.data();
  for (std::size_t y = 0; y < image.height; ++y) {
    const std::byte* const row = image.pixels.data() + y * image.width * channels;
    for (const Filter::Window& window : filter.windows) {
      for (std::size_t c = 0; c < channels; ++c) {
        std::int32_t sum = half;
        const std::byte* in = row + window.first * channels + c;
        for (const std::int32_t weight : filter.weights_of(window)) {
          sum += weight * std::to_integer<std::int32_t>(*in);
          in += channels;
        }
        *out++ = to_pixel(sum);
      }
    }
  }
  return result;
}

Image resize_columns(const Image& image, std::size_t height) {
  const Filter filter = triangle_filter(image.height, height);
  const std::size_t row_bytes = image.width * image.channels;
  Image result{height, image.width, image.channels, std::vector<std::byte>(height * row_bytes)};
  std::vector<std::int32_t> sums(row_bytes);
  std::byte* out = result.pixels.data();
  for (const Filter::Window& window : filter.windows) {
    std::fill(sums.begin(), sums.end(), half);
    const std::byte* in = image.pixels.data() + window.first * row_bytes;
    for (const std::int32_t weight : filter.weights_of(window)) {
      for (std::size_t i = 0; i < row_bytes; ++i) sums[i] += weight * std::to_integer<std::int32_t>(in[i]);
      in += row_bytes;
    }
    out = std::transform(sums.begin(), sums.end(), out, to_pixel);
  }
  return result;
}

}  // namespace

Image resize(const Image& image, std::size_t height, std::size_t width) {
  Image result = width == image.width ? image : resize_rows(image, width);
  return height == image.height ? result : resize_columns(result, height);
}

}  // namespace trainyard
