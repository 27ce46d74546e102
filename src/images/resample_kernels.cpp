#include "images/resample_kernels.h"

#include <algorithm>
#include <array>

namespace trainyard {

void resample_row(const std::byte* row, std::size_t channels, const ResampleAxis& columns, std::byte* out) {
  for (const ResampleAxis::Window& window : columns.windows()) {
    const std::int32_t* const weights = columns.weights(window);
    for (std::size_t c = 0; c < channels; ++c) {
      std::int32_t sum = resampling_half;
      const std::byte* in = row + window.first * channels + c;
      for (std::uint32_t i = 0; i < window.count; ++i, in += channels) {
        sum += weights[i] * std::to_integer<std::int32_t>(*in);
      }
      *out++ = resampled_pixel(sum);
    }
  }
}

namespace {

void rgb_rows(const std::byte* const rows[2], const ResampleAxis& columns, std::byte* const out[2]) {
  resample_row(rows[0], 3, columns, out[0]);
  resample_row(rows[1], 3, columns, out[1]);
}

void column(const std::byte* source, std::size_t source_row_bytes, const ResampleAxis& rows,
            const ResampleAxis::Window& window, std::size_t row_bytes, std::byte* out) {
  const std::int32_t* const weights = rows.weights(window);
  std::array<std::int32_t, 64> sums;  // few enough to stay in registers
  for (std::size_t x = 0; x < row_bytes; x += sums.size()) {
    const std::size_t count = std::min(sums.size(), row_bytes - x);
    sums.fill(resampling_half);
    for (std::uint32_t i = 0; i < window.count; ++i) {
      const std::byte* const in = source + i * source_row_bytes + x;
      for (std::size_t k = 0; k < count; ++k) sums[k] += weights[i] * std::to_integer<std::int32_t>(in[k]);
    }
    for (std::size_t k = 0; k < count; ++k) out[x + k] = resampled_pixel(sums[k]);
  }
}

}  // namespace

const ResampleKernels& portable_resample_kernels() {
  static constexpr ResampleKernels kernels{rgb_rows, column};
  return kernels;
}

#ifndef __x86_64__  // defined in resample_kernels_avx2.cpp there
const ResampleKernels& best_resample_kernels() { return portable_resample_kernels(); }
#endif

}  // namespace trainyard
