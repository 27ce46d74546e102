/// What the kernels that pool share: max_pool_kernel.cu and batch_norm_pool.cu.
#pragma once

#include <type_traits>

#include "layers/cuda/vectors.cuh"

namespace trainyard {

/// The index of the maximum within the window, a byte per element of a vector.
template <typename T>
struct ArgMax {
  std::conditional_t<vector_size<T> == 8, uint2, std::uint32_t> bytes;

  __device__ unsigned get(int i) const { return reinterpret_cast<const std::uint8_t*>(&bytes)[i]; }
  __device__ void set(int i, unsigned tap) {
    reinterpret_cast<std::uint8_t*>(&bytes)[i] = static_cast<std::uint8_t>(tap);
  }
};

/// `element`: of the first byte, a multiple of the vector's size.
template <typename T>
__device__ ArgMax<T> load_argmax(const std::uint8_t* from, std::int64_t element) {
  return *reinterpret_cast<const ArgMax<T>*>(from + element);
}

template <typename T>
__device__ void store(std::uint8_t* to, std::int64_t element, const ArgMax<T>& argmax) {
  *reinterpret_cast<ArgMax<T>*>(to + element) = argmax;
}

struct Pixel {
  unsigned image, row, column;

  __device__ Pixel(unsigned index, unsigned height, unsigned width)
      : image(index / width / height), row(index / width % height), column(index % width) {}
};

__device__ inline std::int64_t pixel_at(unsigned image, unsigned row, unsigned column, unsigned height,
                                        unsigned width) {
  return (std::int64_t{image} * height + row) * width + column;
}

/// Whether `value` replaces `maximum`, that of the values before it: the first of equal values stays; NaN wins.
__device__ inline bool replaces(float value, float maximum) { return (value > maximum) | isnan(value); }

}  // namespace trainyard
