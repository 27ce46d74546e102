/// Batch norm is memory-bound. Each direction is a reduction pass and an elementwise pass: forward reads x twice and
/// writes y; backward reads dy and x twice and writes dx. Without a residual the ReLU's mask is recomputed from x; with
/// one it is stored as bits, and the reduction pass writes the residual's gradient, which the elementwise pass then
/// reads. Max pooling of y (batch_norm_pool.cu) replaces the elementwise passes.
///
/// A block of the reduction pass writes partial sums of its rows, and each block of the elementwise pass adds up those
/// of its channels. If the activations are small, launches take most of the time: narrow blocks keep the number of
/// partial sums per channel so low that this costs less than a launch. Otherwise a small kernel between the two passes
/// leaves one partial sum per channel.
///
/// Reductions run from the last row to the first, so that the next pass begins with rows that are still in the L2
/// cache. The order of every sum depends on the shape and the GPU only.
///
/// This header is shared by batch_norm_forward.cu, batch_norm_backward.cu and batch_norm_pool.cu.
#pragma once

#include <type_traits>

#include "layers/cuda/batch_norm_kernel.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard::batch_norm {

/// Resident blocks per multiprocessor: more would leave too few registers.
constexpr unsigned forward_blocks = 4;
constexpr unsigned backward_blocks = 3;

/// The block of the kernels between the passes.
constexpr unsigned combine_channels = 32;
constexpr unsigned combine_threads = 1024;

/// Small activations are likely to be in the L2 cache, and then narrow blocks read them as fast as wide ones.
inline bool is_small(const Activations& shape) {
  const std::int64_t element_size = shape.element == Element::float32 ? sizeof(float) : sizeof(__half);
  return shape.rows * shape.C * element_size <= std::int64_t{16} << 20;
}

/// The width of blocks. The elementwise pass adds up partial sums in an order that depends on it.
inline unsigned most_vectors(const Activations& shape) { return is_small(shape) ? 4 : 32; }

/// The grid of two passes. blocks.x is the number of partial sums per channel.
inline Grid grid_of_passes(const Activations& shape, unsigned resident_on_a_multiprocessor) {
  constexpr unsigned most_partials = 64;
  Grid grid = grid_for(shape, resident_on_a_multiprocessor, most_vectors(shape));
  if (is_small(shape)) grid.blocks.x = std::min(grid.blocks.x, most_partials);
  return grid;
}

/// A range of channels.
struct Tile {
  unsigned begin, end;
};

/// The most channels of a block.
template <typename T>
constexpr unsigned tile_size = 32 * vector_size<T>;

/// The channels of this block of a pass.
template <typename T>
__device__ Tile tile_of(unsigned C) {
  const unsigned size = blockDim.x * vector_size<T>;
  return {blockIdx.y * size, min((blockIdx.y + 1) * size, C)};
}

/// The channels of this block between the passes.
__device__ inline Tile combined_tile(unsigned C) {
  return {blockIdx.x * combine_channels, min((blockIdx.x + 1) * combine_channels, C)};
}

__device__ inline unsigned thread_of_block() { return threadIdx.y * blockDim.x + threadIdx.x; }

/// The channel of which this thread adds up partial sums.
__device__ inline unsigned channel_of_thread(const Tile& tile) {
  return tile.begin + thread_of_block() % (tile.end - tile.begin);
}

/// Adds up the two partial sums per channel of `blocks` blocks: add(sums, i, partial) adds those of block i, and
/// use(channel, sums) is called with the result by the thread number channel - tile.begin. All threads of a block, at
/// most `threads` and at least one per channel, call it, once. The order of the sums depends on the number of threads.
template <unsigned threads, typename Add, typename Use>
__device__ void add_up_partials(const float* partials, const Tile& tile, unsigned C, unsigned blocks, const Add& add,
                                const Use& use) {
  constexpr unsigned unroll = 8;  // loads in flight
  __shared__ float shared[2][threads];
  const unsigned channels = tile.end - tile.begin;
  const unsigned groups = blockDim.x * blockDim.y / channels;
  const unsigned thread = thread_of_block();
  const unsigned group = thread / channels;
  const unsigned channel = channel_of_thread(tile);
  float sums[2] = {};
  for (unsigned i = group < groups ? group : blocks; i < blocks; i += unroll * groups) {
    float2 loaded[unroll];
#pragma unroll
    for (unsigned k = 0; k < unroll; ++k) {
      const float* const from = partials + std::int64_t{2} * (i + k * groups) * C + channel;
      if (i + k * groups < blocks) loaded[k] = {from[0], from[C]};
    }
#pragma unroll
    for (unsigned k = 0; k < unroll; ++k) {
      if (i + k * groups < blocks) add(sums, i + k * groups, loaded[k]);
    }
  }
  shared[0][thread] = sums[0];
  shared[1][thread] = sums[1];
  __syncthreads();
  if (group != 0) return;
  for (unsigned other = thread + channels; other < groups * channels; other += channels) {
    sums[0] += shared[0][other];
    sums[1] += shared[1][other];
  }
  use(channel, sums);
}

enum class Epilogue { none, relu, add_relu };

/// Calls run(std::integral_constant<Epilogue, ...>()).
template <typename Run>
void dispatch_epilogue(bool relu, bool adds, const Run& run) {
  if (adds) return run(std::integral_constant<Epilogue, Epilogue::add_relu>());
  if (relu) return run(std::integral_constant<Epilogue, Epilogue::relu>());
  return run(std::integral_constant<Epilogue, Epilogue::none>());
}

/// The arguments of normalize(), of a thread's vector.
template <typename T>
struct Scaling {
  PerChannel<vector_size<T>> mean, scale;

  __device__ Scaling(const float* mean, const float* rstd, const PerChannel<vector_size<T>>& weight)
      : mean(mean), scale(weight) {
    for (int i = 0; i < vector_size<T>; ++i) scale.at[i] *= rstd[i];
  }
};

/// Forward and backward compute the same bits, so that they agree on the ReLU's mask.
__device__ inline float normalize(float x, float mean, float scale, float bias) { return fmaf(x - mean, scale, bias); }

/// NaN stays NaN.
__device__ inline float relu(float value) { return value < 0 ? 0 : value; }

/// Rounded to T.
template <typename T>
__device__ float rounded(float value) {
  return static_cast<float>(static_cast<T>(value));
}

/// 1 if the ReLU passes the gradient of its output y, otherwise 0; NaN passes.
__device__ inline unsigned relu_passes(float y) { return y <= 0 ? 0 : 1; }

}  // namespace trainyard::batch_norm
