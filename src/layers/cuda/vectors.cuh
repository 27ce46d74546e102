/// How kernels of our own go through activations: a thread takes 16 bytes of a row at a time, neighbouring threads
/// neighbouring bytes.
#pragma once

#include <algorithm>
#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "layers/cuda/activations.h"

namespace trainyard {

constexpr unsigned block_threads = 256;

/// Numbers of neighbouring channels in 16 bytes.
template <typename T>
constexpr int lanes = 16 / sizeof(T);

template <typename T>
struct Vector {
  uint4 bits;

  __device__ float get(int lane) const { return static_cast<float>(reinterpret_cast<const T*>(&bits)[lane]); }
  __device__ void set(int lane, float value) { reinterpret_cast<T*>(&bits)[lane] = static_cast<T>(value); }
};

template <typename T>
__device__ Vector<T> load(const void* from, std::int64_t element) {
  return {*reinterpret_cast<const uint4*>(static_cast<const T*>(from) + element)};
}

template <typename T>
__device__ void store(void* to, std::int64_t element, const Vector<T>& vector) {
  *reinterpret_cast<uint4*>(static_cast<T*>(to) + element) = vector.bits;
}

/// The first channel of this thread: blockIdx.y and threadIdx.x say which vector of a row is its own.
template <typename T>
__device__ unsigned first_channel() {
  return (blockIdx.y * blockDim.x + threadIdx.x) * lanes<T>;
}

/// threads: x vectors of a row times y rows. blocks: y columns of blocks, over all of a row; the blocks of each share
/// the rows, starting with threads.y of them for each.
struct Grid {
  dim3 blocks, threads;
};

inline unsigned ceil_divide(std::int64_t a, std::int64_t b) { return static_cast<unsigned>((a + b - 1) / b); }

/// On the current device. As many blocks as are resident at a time; fewer where a thread would have less than four
/// rows. Each block has a row.
inline Grid grid_of(const Activations& shape, unsigned resident_on_a_multiprocessor) {
  int device = 0;
  int multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const unsigned vectors = shape.channels / (shape.element == Element::float32 ? lanes<float> : lanes<__half>);
  const unsigned columns = ceil_divide(vectors, 32);  // a warp reads up to 512 bytes in one piece
  const unsigned width = ceil_divide(vectors, columns);
  const unsigned height = block_threads / width;
  const unsigned useful = ceil_divide(shape.rows, std::int64_t{height} * 4);
  const unsigned resident = multiprocessors * resident_on_a_multiprocessor / columns;
  return {dim3(std::clamp(resident, 1U, useful), columns), dim3(width, height)};
}

/// Calls run(T()) with the type of the elements.
template <typename Run>
void with_type_of(Element element, const Run& run) {
  switch (element) {
    case Element::float32:
      return run(float());
    case Element::float16:
      return run(__half());
    case Element::bfloat16:
      return run(__nv_bfloat16());
  }
}

}  // namespace trainyard
