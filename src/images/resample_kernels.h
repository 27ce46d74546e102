/// The two inner loops of resample(). All sets of them give the same bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "images/resample.h"

namespace trainyard {

struct ResampleKernels {
  /// How many bytes behind a row's last pixel rgb_rows may read, of any content.
  static constexpr std::size_t row_margin = 16;

  /// Two rows of RGB, at `rows`, to two of columns.count() pixels, at `out`. The two results may be one.
  void (*rgb_rows)(const std::byte* const rows[2], const ResampleAxis& columns, std::byte* const out[2]);

  /// One row of `row_bytes` from those under the weights of `window`: the first of them is at `source`, the next ones
  /// `source_row_bytes` apart.
  void (*column)(const std::byte* source, std::size_t source_row_bytes, const ResampleAxis& rows,
                 const ResampleAxis::Window& window, std::size_t row_bytes, std::byte* out);
};

/// One row of any number of channels to columns.count() pixels; for any processor.
void resample_row(const std::byte* row, std::size_t channels, const ResampleAxis& columns, std::byte* out);

/// For any processor.
const ResampleKernels& portable_resample_kernels();

/// The fastest that this processor runs.
const ResampleKernels& best_resample_kernels();

/// What is added to a weighted sum before it is shifted down, so that it is rounded.
inline constexpr std::int32_t resampling_half = 1 << (weight_bits - 1);

/// A weighted sum that began with resampling_half, as a pixel.
inline std::byte resampled_pixel(std::int32_t sum) {
  return static_cast<std::byte>(std::clamp(sum >> weight_bits, 0, 255));
}

}  // namespace trainyard
