/// The inverse DCT of a JPEG's 8 × 8 blocks to fewer pixels: each is the mean of those that it stands for, but for the
/// frequencies that the smaller block cannot show, which are left out instead of being folded into lower ones.
#pragma once

#include <cstddef>

namespace trainyard {

inline constexpr std::size_t block_side = 8;

/// `coefficients`: as many rows and columns as the block has pixels, each multiplied by its scaled_dct_factor() of both
/// directions; those in the first `extent` rows and columns may differ from 0. Rows of `values` are `stride` apart.
using InverseDct = void (*)(const float* coefficients, std::size_t extent, float* values, std::size_t stride);

/// For blocks of that size. REQUIRES that both are 1, 2, 4 or 8.
InverseDct scaled_inverse_dct(std::size_t height, std::size_t width);

/// For one direction: what T.81's inverse DCT multiplies a frequency by, times what the mean of 8 / size neighbours
/// leaves of it. REQUIRES frequency < size.
double scaled_dct_factor(std::size_t frequency, std::size_t size);

}  // namespace trainyard
