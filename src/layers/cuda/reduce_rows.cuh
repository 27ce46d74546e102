/// Sums over the rows of a matrix, of a thread's rows, then of a block's threads. reduce_blocks.h adds up the blocks'.
/// The order of every sum depends on the shape and the GPU alone.
#pragma once

#include "layers/cuda/vectors.cuh"

namespace trainyard {

/// One number a channel, of a thread's channels.
template <int n>
struct PerChannel {
  float at[n];

  __device__ explicit PerChannel(const float* from) {
    for (int i = 0; i < n; ++i) at[i] = from[i];
  }
};

/// Rows are dealt out to the blocks of a column, blockDim.y at a time, so that all blocks go through memory side by
/// side. Calls use(row, load(row)) for this thread's, `at_once` loads in flight.
template <int at_once, bool from_the_end, typename Load, typename Use>
__device__ void for_each_row(std::int64_t rows, const Load& load_row, const Use& use) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  const auto place = [&](std::int64_t i) { return from_the_end ? rows - 1 - i : i; };
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; i < rows;
       i += at_once * step) {
    decltype(load_row(i)) loaded[at_once];
#pragma unroll
    for (int k = 0; k < at_once; ++k) {
      if (i + k * step < rows) loaded[k] = load_row(place(i + k * step));
    }
#pragma unroll
    for (int k = 0; k < at_once; ++k) {
      if (i + k * step < rows) use(place(i + k * step), loaded[k]);
    }
  }
}

/// Adds up over the threads of a column; the sums are the first one's, threadIdx.y == 0. All threads of a block call
/// it, once.
template <unsigned threads, int n>
__device__ void sum_over_column(float (&values)[n]) {
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

/// Writes a matrix to `to` and adds up its rows. load(row) reads what a row's vector of this thread is made of,
/// compute(loaded, i) gives its number i. The blocks' sums are written to `partials`: blocks × columns. All threads of
/// a block call it, once.
template <typename T, typename Load, typename Compute>
__device__ void write_and_sum(void* to, float* partials, std::int64_t rows, unsigned columns, const Load& load_row,
                              const Compute& compute) {
  const unsigned column = first_channel<T>();
  const bool inside = column < columns;
  float sums[lanes<T>] = {};
  if (inside) {
    for_each_row<2, false>(rows, load_row, [&](std::int64_t row, const auto& loaded) {
      Vector<T> vector;
#pragma unroll
      for (int i = 0; i < lanes<T>; ++i) {
        const float value = compute(loaded, i);
        vector.set(i, value);
        sums[i] += value;
      }
      store(to, row * columns + column, vector);
    });
  }
  sum_over_column<block_threads>(sums);
  if (!inside || threadIdx.y != 0) return;
#pragma unroll
  for (int i = 0; i < lanes<T>; ++i) partials[std::int64_t{blockIdx.x} * columns + column + i] = sums[i];
}

}  // namespace trainyard
