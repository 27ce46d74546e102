#include "layers/cuda/batch_norm_common.cuh"

namespace trainyard {
namespace batch_norm {
namespace {

// The number of rows that for_each_row gives to each block.
struct RowPartition {
  std::int64_t rows_per_block;  // of every block
  std::int64_t remainder;       // given to blocks from block 0 on
  std::int64_t rows_per_step;

  RowPartition(std::int64_t rows, dim3 blocks, dim3 threads)
      : rows_per_block(rows / (std::int64_t{blocks.x} * threads.y) * threads.y),
        remainder(rows % (std::int64_t{blocks.x} * threads.y)),
        rows_per_step(threads.y) {}

  __device__ float count(unsigned block) const {
    return static_cast<float>(rows_per_block +
                              min(max(remainder - block * rows_per_step, std::int64_t{0}), rows_per_step));
  }
};

// Each block computes the mean of its rows and the sum of squared deviations from it. Subtracting the block's first row
// before squaring avoids catastrophic cancellation: the loss is bounded by the number of rows, not by the squared mean.
template <typename T>
__global__ void __launch_bounds__(block_threads, forward_blocks)
    sum_rows_kernel(const void* x, std::int64_t rows, unsigned C, RowPartition partition, float* partials) {
  const unsigned channel = first_channel<T>();
  const bool in_range = channel < C;
  Vector<T> first{};
  float sums[2 * vector_size<T>] = {};
  if (in_range) {
    first = load<T>(x, (rows - 1 - static_cast<std::int64_t>(blockIdx.x) * blockDim.y) * C + channel);
    for_each_row<4, true>(
        rows, [&](std::int64_t row) { return load<T>(x, row * C + channel); },
        [&](std::int64_t, const Vector<T>& values) {
#pragma unroll
          for (int i = 0; i < vector_size<T>; ++i) {
            const float distance = values.get(i) - first.get(i);
            sums[i] += distance;
            sums[vector_size<T> + i] = fmaf(distance, distance, sums[vector_size<T> + i]);
          }
        });
  }
  block_reduce_sum<block_threads>(sums);
  if (!in_range || threadIdx.y != 0) return;
  const float count = partition.count(blockIdx.x);
  float* const means = partials + std::int64_t{2} * blockIdx.x * C + channel;
#pragma unroll
  for (int i = 0; i < vector_size<T>; ++i) {
    const float offset = sums[i] / count;
    means[i] = first.get(i) + offset;
    means[C + i] = sums[vector_size<T> + i] - sums[i] * offset;
  }
}

// A channel's mean, and the sum of squared deviations from it.
struct Statistics {
  float mean, squares;
};

// Combines the blocks' statistics in the same way. Called by whole blocks; the result is that of threadIdx.y == 0.
__device__ Statistics combine_blocks(const float* partials, std::int64_t rows, unsigned C, unsigned channel,
                                     const RowPartition& partition, unsigned blocks) {
  const bool in_range = channel < C;
  const float first = in_range ? partials[channel] : 0;
  float sums[2] = {};
  if (in_range) {
#pragma unroll 4
    for (unsigned block = threadIdx.y; block < blocks; block += tile_rows) {
      const float* const means = partials + std::int64_t{2} * block * C + channel;
      const float distance = means[0] - first;
      const float weighted = partition.count(block) * distance;
      sums[0] += weighted;
      sums[1] += fmaf(weighted, distance, means[C]);
    }
  }
  block_reduce_sum<tile_channels * tile_rows>(sums);
  const float offset = sums[0] / static_cast<float>(rows);
  return {first + offset, sums[1] - sums[0] * offset};
}

__device__ void store_statistics(const BatchNormForward& params, unsigned channel, float mean, float squares,
                                 float rows) {
  if (squares < 0) squares = 0;  // due to rounding; NaN stays NaN
  params.mean[channel] = mean;
  params.rstd[channel] = 1 / sqrtf(squares / rows + params.eps);
  const auto update = [&](float& running, float now) { running += params.momentum * (now - running); };
  update(params.running_mean[channel], mean);
  update(params.running_variance[channel], squares / (rows - 1));
  if (channel == 0) ++*params.batches;
}

__global__ void finish_statistics_kernel(BatchNormForward params, std::int64_t rows, unsigned C, RowPartition partition,
                                         unsigned blocks) {
  const unsigned channel = blockIdx.x * tile_channels + threadIdx.x;
  const Statistics statistics = combine_blocks(params.workspace, rows, C, channel, partition, blocks);
  if (channel >= C || threadIdx.y != 0) return;
  store_statistics(params, channel, statistics.mean, statistics.squares, static_cast<float>(rows));
}

// In float64, the mean of squares minus the squared mean is precise enough.
__global__ void store_moments_kernel(BatchNormMoments params, std::int64_t rows, unsigned C, RowPartition partition,
                                     unsigned blocks) {
  const unsigned channel = blockIdx.x * tile_channels + threadIdx.x;
  const Statistics statistics = combine_blocks(params.workspace, rows, C, channel, partition, blocks);
  if (channel >= C || threadIdx.y != 0) return;
  const auto count = static_cast<double>(rows);
  const double mean = statistics.mean;
  params.moments[channel] = count * mean;
  params.moments[C + channel] = statistics.squares + count * mean * mean;
  if (channel == 0) params.moments[2 * C] = count;
}

// Sum is float or double.
template <typename Sum>
__device__ void statistics_of_sums(const BatchNormForward& params, const Sum* sums, double rows, unsigned C) {
  const unsigned channel = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel >= C) return;
  const double mean = sums[channel] / rows;
  const double squares = sums[C + channel] - rows * mean * mean;
  store_statistics(params, channel, static_cast<float>(mean), static_cast<float>(squares), static_cast<float>(rows));
}

__global__ void statistics_of_moments_kernel(BatchNormForward params, unsigned C) {
  statistics_of_sums(params, params.moments, params.moments[2 * C], C);
}

__global__ void statistics_of_sums_kernel(BatchNormForward params, std::int64_t rows, unsigned C) {
  statistics_of_sums(params, params.sums, static_cast<double>(rows), C);
}

template <typename T, Epilogue epilogue>
__global__ void __launch_bounds__(block_threads, forward_blocks)
    normalize_kernel(BatchNormForward params, std::int64_t rows, unsigned C) {
  const unsigned channel = first_channel<T>();
  if (channel >= C) return;
  const Scaling<T> scaling(params, channel);
  const PerChannel<vector_size<T>> bias(params.bias + channel);
  struct Loaded {
    Vector<T> x, residual;
  };
  // First the rows that the cache may still have: sum_rows_kernel ends with the first ones, a convolution with the
  // last.
  const auto element_of = [&](std::int64_t i) {
    const std::int64_t row = params.sums != nullptr ? rows - 1 - i : i;
    return row * C + channel;
  };
  for_each_row<epilogue == Epilogue::add_relu ? 2 : 4, false>(
      rows,
      [&](std::int64_t row) {
        const std::int64_t element = element_of(row);
        Loaded loaded{load<T>(params.x, element), {}};
        if constexpr (epilogue == Epilogue::add_relu) loaded.residual = load<T>(params.residual, element);
        return loaded;
      },
      [&](std::int64_t row, const Loaded& loaded) {
        Vector<T> y;
        unsigned relu_mask = 0;
#pragma unroll
        for (int i = 0; i < vector_size<T>; ++i) {
          float value = normalize(loaded.x.get(i), scaling.mean.at[i], scaling.scale.at[i], bias.at[i]);
          if constexpr (epilogue == Epilogue::add_relu) value += loaded.residual.get(i);
          if constexpr (epilogue != Epilogue::none) value = relu(value);
          y.set(i, value);
          relu_mask |= relu_passes(y.get(i)) << i;
        }
        const std::int64_t element = element_of(row);
        store(params.y, element, y);
        if constexpr (epilogue == Epilogue::add_relu)
          params.relu_mask[element / vector_size<T>] = static_cast<std::uint8_t>(relu_mask);
      });
}

template <typename T>
void launch(const Activations& shape, const BatchNormForward& params, cudaStream_t stream) {
  if (params.moments != nullptr) {
    statistics_of_moments_kernel<<<ceil_divide(shape.C, block_threads), block_threads, 0, stream>>>(params, shape.C);
  } else if (params.sums != nullptr) {
    statistics_of_sums_kernel<<<ceil_divide(shape.C, block_threads), block_threads, 0, stream>>>(params, shape.rows,
                                                                                                 shape.C);
  } else {
    const auto [blocks, threads] = grid_for(shape, forward_blocks);
    const RowPartition partition(shape.rows, blocks, threads);
    sum_rows_kernel<T><<<blocks, threads, 0, stream>>>(params.x, shape.rows, shape.C, partition, params.workspace);
    finish_statistics_kernel<<<ceil_divide(shape.C, tile_channels), dim3(tile_channels, tile_rows), 0, stream>>>(
        params, shape.rows, shape.C, partition, blocks.x);
  }
}

template <typename T>
void launch(const Activations& shape, const BatchNormMoments& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_for(shape, forward_blocks);
  const RowPartition partition(shape.rows, blocks, threads);
  sum_rows_kernel<T><<<blocks, threads, 0, stream>>>(params.x, shape.rows, shape.C, partition, params.workspace);
  store_moments_kernel<<<ceil_divide(shape.C, tile_channels), dim3(tile_channels, tile_rows), 0, stream>>>(
      params, shape.rows, shape.C, partition, blocks.x);
}

}  // namespace
}  // namespace batch_norm

std::int64_t batch_norm_workspace(const Activations& shape) {
  const unsigned blocks = grid_for(shape, std::max(batch_norm::forward_blocks, batch_norm::backward_blocks)).blocks.x;
  return std::int64_t{2} * (blocks + 1) * shape.C;  // the blocks' two sums, then backward's Correction
}

cudaError_t launch_batch_norm_statistics(const Activations& shape, const BatchNormForward& params,
                                         cudaStream_t stream) {
  dispatch_element(shape.element, [&](auto zero) { batch_norm::launch<decltype(zero)>(shape, params, stream); });
  return cudaGetLastError();
}

cudaError_t launch_batch_norm_y(const Activations& shape, const BatchNormForward& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_for(shape, batch_norm::forward_blocks);
  dispatch_element(shape.element, [&](auto zero) {
    batch_norm::dispatch_epilogue(params.relu, params.residual != nullptr, [&](auto epilogue) {
      batch_norm::normalize_kernel<decltype(zero), decltype(epilogue)::value>
          <<<blocks, threads, 0, stream>>>(params, shape.rows, shape.C);
    });
  });
  return cudaGetLastError();
}

cudaError_t launch_batch_norm_moments(const Activations& shape, const BatchNormMoments& params, cudaStream_t stream) {
  dispatch_element(shape.element, [&](auto zero) { batch_norm::launch<decltype(zero)>(shape, params, stream); });
  return cudaGetLastError();
}

}  // namespace trainyard
