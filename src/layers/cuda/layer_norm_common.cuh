/// One warp per row, which it keeps in registers, so that each direction reads and writes memory once. A lane holds
/// four adjacent elements of every 128: 16 bytes of float32, 8 bytes of a 16-bit type.
///
/// This header is shared by layer_norm_forward.cu and layer_norm_backward.cu.
#pragma once

#include <type_traits>

#include "layers/cuda/layer_norm_kernel.h"
#include "layers/cuda/vectors.cuh"

namespace trainyard::layer_norm {

constexpr unsigned warp_size = 32;
constexpr unsigned warps_per_block = block_threads / warp_size;

/// A block is warp_size × warps_per_block threads.
__device__ inline unsigned lane_id() { return threadIdx.x; }
__device__ inline unsigned warp_id() { return threadIdx.y; }

/// Four adjacent elements.
template <typename T>
struct Vector4 {
  std::conditional_t<sizeof(T) == 4, uint4, uint2> bits;

  __device__ float get(int i) const { return static_cast<float>(reinterpret_cast<const T*>(&bits)[i]); }
  __device__ void set(int i, float value) { reinterpret_cast<T*>(&bits)[i] = static_cast<T>(value); }
};

/// Loads through the read-only cache. REQUIRES that the kernel does not write to `from`.
template <typename T>
__device__ Vector4<T> load_vector4(const void* from, std::int64_t element) {
  return {__ldg(reinterpret_cast<const decltype(Vector4<T>::bits)*>(static_cast<const T*>(from) + element))};
}

template <typename T>
__device__ void store_vector4(void* to, std::int64_t element, const Vector4<T>& vector) {
  *reinterpret_cast<decltype(Vector4<T>::bits)*>(static_cast<T*>(to) + element) = vector.bits;
}

/// Calls run(k, c) for each of this lane's vectors of a row: vector k begins at element c.
template <int vectors_per_lane, typename Run>
__device__ void for_each_vector4(unsigned C, const Run& run) {
#pragma unroll
  for (int k = 0; k < vectors_per_lane; ++k) {
    const unsigned c = (k * warp_size + lane_id()) * 4;
    if (c < C) run(k, c);
  }
}

/// Butterfly reduction: all lanes get the same bits.
__device__ inline float warp_reduce_sum(float value) {
#pragma unroll
  for (unsigned distance = warp_size / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, distance);
  }
  return value;
}

/// Calls run(std::integral_constant<int, vectors_per_lane>()) with at least as many as a row of C elements needs.
template <typename Run>
void dispatch_vectors_per_lane(std::uint32_t C, const Run& run) {
  const unsigned needed = ceil_divide(C, warp_size * 4);
  if (needed <= 2) return run(std::integral_constant<int, 2>());
  if (needed == 3) return run(std::integral_constant<int, 3>());
  if (needed == 4) return run(std::integral_constant<int, 4>());
  if (needed <= 6) return run(std::integral_constant<int, 6>());
  return run(std::integral_constant<int, layer_norm_max_channels / (warp_size * 4)>());
}

}  // namespace trainyard::layer_norm
