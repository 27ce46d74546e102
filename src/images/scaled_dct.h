/// Computes the inverse DCT of a JPEG's 8 × 8 blocks at a reduced size. Each pixel is the mean of the pixels it
/// replaces, without the frequencies that the smaller block cannot represent: these are dropped instead of aliased to
/// lower ones.
#pragma once

#include <cstddef>

namespace trainyard {

inline constexpr std::size_t block_side = 8;

/// `coefficients`: as many rows and columns as the block has pixels, each multiplied by its scaled_dct_factor() in both
/// directions; only those in the first `extent` rows and columns may be nonzero. Rows of `values` are `stride` apart.
using InverseDct = void (*)(const float* coefficients, std::size_t extent, float* values, std::size_t stride);

/// Returns the function for blocks of this size. REQUIRES that both are 1, 2, 4 or 8.
InverseDct scaled_inverse_dct(std::size_t height, std::size_t width);

/// The factor for one direction: that of T.81's inverse DCT for this frequency, times the attenuation by averaging 8 /
/// size neighbours. REQUIRES frequency < size.
double scaled_dct_factor(std::size_t frequency, std::size_t size);

}  // namespace trainyard
