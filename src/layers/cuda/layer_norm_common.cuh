/// A warp takes a row and keeps it in its registers, so that each direction reads and writes memory once. threadIdx.x
/// is the lane, threadIdx.y the warp of the block. A lane has four neighbouring numbers of every 128: 16 bytes of a
/// float32 sum, 8 of what is normalised to half of that.
///
/// layer_norm_forward.cu and layer_norm_backward.cu are the two directions; here is what they share.
#pragma once

#include <type_traits>

#include "layers/cuda/layer_norm_kernel.h"
#include "layers/cuda/vectors.cuh"

namespace trainyard::layer_norm {

constexpr unsigned warp = 32;
constexpr unsigned block_rows = block_threads / warp;

/// Four neighbouring numbers.
template <typename T>
struct Four {
  std::conditional_t<sizeof(T) == 4, uint4, uint2> bits;

  __device__ float get(int i) const { return static_cast<float>(reinterpret_cast<const T*>(&bits)[i]); }
  __device__ void set(int i, float value) { reinterpret_cast<T*>(&bits)[i] = static_cast<T>(value); }
};

/// REQUIRES that the kernel does not write there: the compiler may read earlier than it is told.
template <typename T>
__device__ Four<T> load_four(const void* from, std::int64_t element) {
  return {__ldg(reinterpret_cast<const decltype(Four<T>::bits)*>(static_cast<const T*>(from) + element))};
}

template <typename T>
__device__ void store_four(void* to, std::int64_t element, const Four<T>& four) {
  *reinterpret_cast<decltype(Four<T>::bits)*>(static_cast<T*>(to) + element) = four.bits;
}

/// Calls run(k, column) for this lane's `fours` fours of a row; k counts them, column is the first number's.
template <int fours, typename Run>
__device__ void for_each_four(unsigned width, const Run& run) {
#pragma unroll
  for (int k = 0; k < fours; ++k) {
    const unsigned column = (k * warp + threadIdx.x) * 4;
    if (column < width) run(k, column);
  }
}

/// All lanes get the same bits.
__device__ inline float sum_over_warp(float value) {
#pragma unroll
  for (unsigned distance = warp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, distance);
  }
  return value;
}

/// Calls run(std::integral_constant<int, fours>()) with as many as a lane needs for a row, or a few more.
template <typename Run>
void with_fours(std::uint32_t width, const Run& run) {
  const unsigned needed = ceil_divide(width, warp * 4);
  if (needed <= 2) return run(std::integral_constant<int, 2>());
  if (needed == 3) return run(std::integral_constant<int, 3>());
  if (needed == 4) return run(std::integral_constant<int, 4>());
  if (needed <= 6) return run(std::integral_constant<int, 6>());
  return run(std::integral_constant<int, layer_norm_widest / (warp * 4)>());
}

}  // namespace trainyard::layer_norm
