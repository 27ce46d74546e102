/// Sums over the rows of a matrix, first per thread, then per block; reduce_blocks.h sums over the blocks. The order of
/// every sum depends on the shape and the GPU only.
#pragma once

#include "layers/cuda/vectors.cuh"

namespace trainyard {

/// One float per channel of a thread's vector.
template <int n>
struct PerChannel {
  float at[n];

  __device__ explicit PerChannel(const float* from) {
    for (int i = 0; i < n; ++i) at[i] = from[i];
  }
};

/// Grid-stride loop over rows: blocks take blockDim.y rows at a time, so that all blocks read adjacent memory. Calls
/// use(row, load_row(row)) with `unroll` loads in flight, from the last row to the first if `reverse`.
template <int unroll, bool reverse, typename Load, typename Use>
__device__ void for_each_row(std::int64_t rows, const Load& load_row, const Use& use) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  const auto index = [&](std::int64_t i) { return reverse ? rows - 1 - i : i; };
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; i < rows;
       i += unroll * step) {
    decltype(load_row(i)) loaded[unroll];
#pragma unroll
    for (int k = 0; k < unroll; ++k) {
      if (i + k * step < rows) loaded[k] = load_row(index(i + k * step));
    }
#pragma unroll
    for (int k = 0; k < unroll; ++k) {
      if (i + k * step < rows) use(index(i + k * step), loaded[k]);
    }
  }
}

/// Sums over threadIdx.y in shared memory; threads with threadIdx.y == 0 get the result. All threads of a block call
/// it, once.
template <unsigned threads, int n>
__device__ void block_reduce_sum(float (&values)[n]) {
  __shared__ float shared[n][threads];
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int k = 0; k < n; ++k) shared[k][thread] = values[k];
  for (unsigned rows = blockDim.y; rows > 1;) {
    const unsigned half = (rows + 1) / 2;
    __syncthreads();
    if (threadIdx.y + half < rows) {
#pragma unroll
      for (int k = 0; k < n; ++k) shared[k][thread] = values[k] += shared[k][thread + half * blockDim.x];
    }
    rows = half;
  }
}

/// Writes a matrix of rows × C to `to` and sums it over the rows of each block into `partials`, blocks × C.
/// load_row(row) loads the inputs of this thread's vector, compute(loaded, i) returns its element i. All threads of a
/// block call it, once.
template <typename T, typename Load, typename Compute>
__device__ void write_and_reduce(void* to, float* partials, std::int64_t rows, unsigned C, const Load& load_row,
                                 const Compute& compute) {
  const unsigned c = first_channel<T>();
  const bool in_range = c < C;
  float sums[vector_size<T>] = {};
  if (in_range) {
    for_each_row<2, false>(rows, load_row, [&](std::int64_t row, const auto& loaded) {
      Vector<T> vector;
#pragma unroll
      for (int i = 0; i < vector_size<T>; ++i) {
        const float value = compute(loaded, i);
        vector.set(i, value);
        sums[i] += value;
      }
      store(to, row * C + c, vector);
    });
  }
  block_reduce_sum<block_threads>(sums);
  if (!in_range || threadIdx.y != 0) return;
#pragma unroll
  for (int i = 0; i < vector_size<T>; ++i) partials[std::int64_t{blockIdx.x} * C + c + i] = sums[i];
}

}  // namespace trainyard
