/// Vectorized access to activations: a thread loads and stores 16 bytes at a time, adjacent threads adjacent vectors.
#pragma once

#include <algorithm>
#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "layers/cuda/activations.h"

namespace trainyard {

constexpr unsigned block_threads = 256;

/// Elements per 16-byte vector.
template <typename T>
constexpr int vector_size = 16 / sizeof(T);

template <typename T>
struct Vector {
  uint4 bits;

  __device__ float get(int i) const { return static_cast<float>(reinterpret_cast<const T*>(&bits)[i]); }
  __device__ void set(int i, float value) { reinterpret_cast<T*>(&bits)[i] = static_cast<T>(value); }
};

template <typename T>
__device__ Vector<T> load(const void* from, std::int64_t element) {
  return {*reinterpret_cast<const uint4*>(static_cast<const T*>(from) + element)};
}

template <typename T>
__device__ void store(void* to, std::int64_t element, const Vector<T>& vector) {
  *reinterpret_cast<uint4*>(static_cast<T*>(to) + element) = vector.bits;
}

/// The first channel of this thread's vector; blockIdx.y and threadIdx.x select the vector within a row.
template <typename T>
__device__ unsigned first_channel() {
  return (blockIdx.y * blockDim.x + threadIdx.x) * vector_size<T>;
}

/// A block is a tile of threads.y rows × threads.x vectors. blocks.y tiles cover a row; the blocks.x blocks of a tile
/// column stride over the rows.
struct Grid {
  dim3 blocks, threads;
};

inline unsigned ceil_divide(std::int64_t a, std::int64_t b) { return static_cast<unsigned>((a + b - 1) / b); }

/// Uses the current device. As many blocks as are resident at once, fewer if a thread would get less than four rows.
/// Each block gets at least one row, of at most `most_vectors` vectors: 32 are 512 contiguous bytes per warp.
inline Grid grid_for(const Activations& shape, unsigned resident_on_a_multiprocessor, unsigned most_vectors = 32) {
  int device = 0;
  int multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const unsigned vectors = shape.C / (shape.element == Element::float32 ? vector_size<float> : vector_size<__half>);
  const unsigned columns = ceil_divide(vectors, most_vectors);
  const unsigned width = ceil_divide(vectors, columns);
  const unsigned height = block_threads / width;
  const unsigned useful = ceil_divide(shape.rows, std::int64_t{height} * 4);
  const unsigned resident = multiprocessors * resident_on_a_multiprocessor / columns;
  return {dim3(std::clamp(resident, 1U, useful), columns), dim3(width, height)};
}

/// Calls run(T()) with the element type T.
template <typename Run>
void dispatch_element(Element element, const Run& run) {
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
