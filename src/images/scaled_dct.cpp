#include "images/scaled_dct.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace trainyard {
namespace {

/// By frequency u and value x: cos((2x + 1) u pi / 2N).
template <std::size_t N>
using Cosines = std::array<std::array<float, N>, N>;

template <std::size_t N>
Cosines<N> cosines() {
  Cosines<N> result;
  for (std::size_t u = 0; u < N; ++u) {
    for (std::size_t x = 0; x < N; ++x) {
      const double angle = static_cast<double>((2 * x + 1) * u) * std::numbers::pi / (2 * N);
      result[u][x] = static_cast<float>(std::cos(angle));
    }
  }
  return result;
}

/// How many frequencies are summed up. Leaving out those that are 0 pays for many only: each block has other ones, and
/// no processor can guess which.
template <std::size_t N>
std::size_t summed_up(std::size_t extent) {
  return N < block_side ? N : std::min(extent, N);
}

template <std::size_t Height, std::size_t Width>
void inverse_dct(const float* coefficients, std::size_t extent, float* values, std::size_t stride) {
  static const Cosines<Height> down = cosines<Height>();
  static const Cosines<Width> across = cosines<Width>();
  std::array<std::array<float, Width>, Height> rows;
  for (std::size_t v = 0; v < Height; ++v) std::copy_n(coefficients + v * Width, Width, rows[v].data());
  for (std::size_t y = 0; y < Height; ++y) {
    std::array<float, Width> frequencies = rows[0];
    for (std::size_t v = 1; v < summed_up<Height>(extent); ++v) {
      for (std::size_t u = 0; u < Width; ++u) frequencies[u] += rows[v][u] * down[v][y];
    }
    std::array<float, Width> row;
    row.fill(frequencies[0]);
    for (std::size_t u = 1; u < summed_up<Width>(extent); ++u) {
      for (std::size_t x = 0; x < Width; ++x) row[x] += frequencies[u] * across[u][x];
    }
    std::copy_n(row.data(), Width, values + y * stride);
  }
}

template <std::size_t Height>
InverseDct of_width(std::size_t width) {
  if (width == 8) return inverse_dct<Height, 8>;
  if (width == 4) return inverse_dct<Height, 4>;
  return width == 2 ? inverse_dct<Height, 2> : inverse_dct<Height, 1>;
}

}  // namespace

InverseDct scaled_inverse_dct(std::size_t height, std::size_t width) {
  if (height == 8) return of_width<8>(width);
  if (height == 4) return of_width<4>(width);
  return height == 2 ? of_width<2>(width) : of_width<1>(width);
}

double scaled_dct_factor(std::size_t frequency, std::size_t size) {
  double factor = frequency == 0 ? std::numbers::sqrt2 / 4 : 0.5;
  // The mean of two neighbours of a cosine is one of half as many values, times a cosine of half the step.
  for (std::size_t values = block_side; values > size; values /= 2) {
    factor *= std::cos(static_cast<double>(frequency) * std::numbers::pi / static_cast<double>(2 * values));
  }
  return factor;
}

}  // namespace trainyard
