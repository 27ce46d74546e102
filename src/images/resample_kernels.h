/// The two inner loops of resample(). All implementations return the same bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "images/resample.h"

namespace trainyard {

struct ResampleKernels {
  /// Number of bytes after a row's last pixel that rgb_rows may read, of any content.
  static constexpr std::size_t row_margin = 16;

  /// Resamples two rows of RGB at `rows` to two rows of columns.count() pixels at `out`. The two outputs may be the
  /// same.
  void (*rgb_rows)(const std::byte* const rows[2], const ResampleAxis& columns, std::byte* const out[2]);

  /// Computes one row of `row_bytes` from the rows weighted by `window`: the first is at `source`, the others follow at
  /// a distance of `source_row_bytes`.
  void (*column)(const std::byte* source, std::size_t source_row_bytes, const ResampleAxis& rows,
                 const ResampleAxis::Window& window, std::size_t row_bytes, std::byte* out);
};

/// Resamples one row of any number of channels to columns.count() pixels; runs on any processor.
void resample_row(const std::byte* row, std::size_t channels, const ResampleAxis& columns, std::byte* out);

/// Runs on any processor.
const ResampleKernels& portable_resample_kernels();

/// The fastest kernels that this processor supports.
const ResampleKernels& best_resample_kernels();

/// Added to a weighted sum before the shift, so that it is rounded.
inline constexpr std::int32_t resampling_half = 1 << (weight_bits - 1);

/// Converts a weighted sum that started from resampling_half to a pixel.
inline std::byte resampled_pixel(std::int32_t sum) {
  return static_cast<std::byte>(std::clamp(sum >> weight_bits, 0, 255));
}

}  // namespace trainyard
