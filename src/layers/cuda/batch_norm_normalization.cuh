/// What the elementwise pass of forward needs of the reduction pass: the statistics of each channel.
#pragma once

#include "layers/cuda/batch_norm_common.cuh"

namespace trainyard::batch_norm {

/// The number of rows that for_each_row gives to each block.
struct RowPartition {
  std::int64_t rows;
  unsigned blocks;
  std::int64_t rows_per_block;  ///< of every block
  std::int64_t remainder;       ///< given to blocks from block 0 on
  std::int64_t rows_per_step;

  RowPartition(std::int64_t rows, unsigned blocks, dim3 threads)
      : rows(rows),
        blocks(blocks),
        rows_per_block(rows / (std::int64_t{blocks} * threads.y) * threads.y),
        remainder(rows % (std::int64_t{blocks} * threads.y)),
        rows_per_step(threads.y) {}

  __device__ float count(unsigned block) const {
    return static_cast<float>(rows_per_block +
                              min(max(remainder - block * rows_per_step, std::int64_t{0}), rows_per_step));
  }
};

/// A channel's mean, and the sum of squared deviations from it.
struct Statistics {
  float mean, squares;
};

/// Calls use(channel, Statistics) with the statistics of all blocks; see add_up_partials(). Subtracting the first
/// block's mean before squaring avoids catastrophic cancellation.
template <unsigned threads, typename Use>
__device__ void combine_partials(const float* partials, const Tile& tile, unsigned C, const RowPartition& partition,
                                 const Use& use) {
  const float first = partials[channel_of_thread(tile)];
  add_up_partials<threads>(
      partials, tile, C, partition.blocks,
      [&](float (&sums)[2], unsigned block, const float2& partial) {
        const float distance = partial.x - first;
        const float weighted = partition.count(block) * distance;
        sums[0] += weighted;
        sums[1] += fmaf(weighted, distance, partial.y);
      },
      [&](unsigned channel, const float (&sums)[2]) {
        const float offset = sums[0] / static_cast<float>(partition.rows);
        use(channel, Statistics{first + offset, sums[1] - sums[0] * offset});
      });
}

/// From the sums of x and x² over `rows` rows. Sum is float or double.
template <typename Sum>
__device__ Statistics statistics_of(const Sum* sums, double rows, unsigned C, unsigned channel) {
  const double mean = sums[channel] / rows;
  const double squares = sums[C + channel] - rows * mean * mean;
  return {static_cast<float>(mean), static_cast<float>(squares)};
}

/// Computes the mean and rstd of the tile's channels into shared memory; the first block of the tile also stores them
/// and updates the running statistics.
__device__ inline void compute_statistics(const BatchNormForward& params, const Tile& tile, unsigned C,
                                          const RowPartition& partition, float* means, float* rstds) {
  const unsigned own = tile.begin + thread_of_block();
  const bool stores = blockIdx.x == 0 && own < tile.end;
  float running_mean = stores ? params.running_mean[own] : 0;  // read early, as the sums take a while
  float running_variance = stores ? params.running_variance[own] : 0;
  const double rows = params.moments != nullptr ? params.moments[2 * C] : static_cast<double>(partition.rows);
  const auto use = [&](unsigned channel, Statistics statistics) {
    const auto count = static_cast<float>(rows);
    if (statistics.squares < 0) statistics.squares = 0;  // due to rounding; NaN stays NaN
    const float rstd = 1 / sqrtf(statistics.squares / count + params.eps);
    means[channel - tile.begin] = statistics.mean;
    rstds[channel - tile.begin] = rstd;
    if (!stores) return;
    params.mean[channel] = statistics.mean;
    params.rstd[channel] = rstd;
    const auto update = [&](float& running, float now) { running += params.momentum * (now - running); };
    update(running_mean, statistics.mean);
    update(running_variance, statistics.squares / (count - 1));
    params.running_mean[channel] = running_mean;
    params.running_variance[channel] = running_variance;
    if (channel == 0) ++*params.batches;
  };
  if (params.moments == nullptr && params.sums == nullptr) {
    combine_partials<block_threads>(params.workspace, tile, C, partition, use);
  } else if (own < tile.end) {
    use(own, params.moments != nullptr ? statistics_of(params.moments, rows, C, own)
                                       : statistics_of(params.sums, rows, C, own));
  }
}

/// normalize() of a thread's vector of channels.
template <typename T>
struct Normalization {
  Scaling<T> scaling;
  PerChannel<vector_size<T>> bias;

  __device__ float of(float x, int i) const {
    return normalize(x, scaling.mean.at[i], scaling.scale.at[i], bias.at[i]);
  }
};

/// All threads of a block of the elementwise pass call it, once. The first block of a tile also stores the statistics.
template <typename T>
__device__ Normalization<T> normalization_of_block(const BatchNormForward& params, unsigned C,
                                                   const RowPartition& partition) {
  __shared__ float means[tile_size<T>], rstds[tile_size<T>];
  const bool in_range = first_channel<T>() < C;
  const unsigned channel = in_range ? first_channel<T>() : 0;
  const unsigned vector = in_range ? threadIdx.x * vector_size<T> : 0;
  const PerChannel<vector_size<T>> weight(params.weight + channel);
  const PerChannel<vector_size<T>> bias(params.bias + channel);
  compute_statistics(params, tile_of<T>(C), C, partition, means, rstds);
  __syncthreads();
  return {Scaling<T>(means + vector, rstds + vector, weight), bias};
}

/// The reduction pass: launches the kernels that add up the rows of x, unless their sums are given.
RowPartition sum_rows(const Activations& shape, const BatchNormForward& params, cudaStream_t stream);

}  // namespace trainyard::batch_norm
