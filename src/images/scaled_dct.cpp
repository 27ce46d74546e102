#include "images/scaled_dct.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace trainyard {
namespace {

/// Indexed by frequency u and sample x: cos((2x + 1) u pi / 2 size).
template <std::size_t size>
using Cosines = std::array<std::array<float, size>, size>;

template <std::size_t size>
Cosines<size> cosines() {
  Cosines<size> result;
  for (std::size_t u = 0; u < size; ++u) {
    for (std::size_t x = 0; x < size; ++x) {
      const double angle = static_cast<double>((2 * x + 1) * u) * std::numbers::pi / (2 * size);
      result[u][x] = static_cast<float>(std::cos(angle));
    }
  }
  return result;
}

/// The number of frequencies to sum. Skipping zero frequencies pays off only if there are many: the number varies from
/// block to block, so the branch is unpredictable.
template <std::size_t size>
std::size_t summed_up(std::size_t extent) {
  return size < block_side ? size : std::min(extent, size);
}

template <std::size_t height, std::size_t width>
void inverse_dct(const float* coefficients, std::size_t extent, float* values, std::size_t stride) {
  static const Cosines<height> down = cosines<height>();
  static const Cosines<width> across = cosines<width>();
  std::array<std::array<float, width>, height> rows;
  for (std::size_t v = 0; v < height; ++v) std::copy_n(coefficients + v * width, width, rows[v].data());
  for (std::size_t y = 0; y < height; ++y) {
    std::array<float, width> frequencies = rows[0];
    for (std::size_t v = 1; v < summed_up<height>(extent); ++v) {
      for (std::size_t u = 0; u < width; ++u) frequencies[u] += rows[v][u] * down[v][y];
    }
    std::array<float, width> row;
    row.fill(frequencies[0]);
    for (std::size_t u = 1; u < summed_up<width>(extent); ++u) {
      for (std::size_t x = 0; x < width; ++x) row[x] += frequencies[u] * across[u][x];
    }
    std::copy_n(row.data(), width, values + y * stride);
  }
}

template <std::size_t height>
InverseDct of_width(std::size_t width) {
  if (width == 8) return inverse_dct<height, 8>;
  if (width == 4) return inverse_dct<height, 4>;
  return width == 2 ? inverse_dct<height, 2> : inverse_dct<height, 1>;
}

}  // namespace

InverseDct scaled_inverse_dct(std::size_t height, std::size_t width) {
  if (height == 8) return of_width<8>(width);
  if (height == 4) return of_width<4>(width);
  return height == 2 ? of_width<2>(width) : of_width<1>(width);
}

double scaled_dct_factor(std::size_t frequency, std::size_t size) {
  double factor = frequency == 0 ? std::numbers::sqrt2 / 4 : 0.5;
  // The mean of two adjacent samples of a cosine is a cosine with half as many samples, times the cosine of half the
  // step.
  for (std::size_t values = block_side; values > size; values /= 2) {
    factor *= std::cos(static_cast<double>(frequency) * std::numbers::pi / static_cast<double>(2 * values));
  }
  return factor;
}

}  // namespace trainyard
