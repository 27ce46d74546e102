#include "layers/cuda/batch_norm_normalization.cuh"

namespace trainyard {
namespace batch_norm {
namespace {

// Each block computes the mean of its rows and the sum of squared deviations from it. Subtracting the block's first row
// before squaring avoids catastrophic cancellation: the loss is bounded by the number of rows, not by the squared mean.
template <typename T>
__global__ void __launch_bounds__(block_threads, forward_blocks)
    sum_rows_kernel(const void* x, unsigned C, RowPartition partition, float* partials) {
  const std::int64_t rows = partition.rows;
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

// Leaves the statistics of all rows in the place of the first block's.
__global__ void combine_partials_kernel(float* partials, unsigned C, RowPartition partition) {
  combine_partials<combine_threads>(partials, combined_tile(C), C, partition,
                                    [&](unsigned channel, const Statistics& statistics) {
                                      partials[channel] = statistics.mean;
                                      partials[C + channel] = statistics.squares;
                                    });
}

// In float64, the mean of squares minus the squared mean is precise enough.
__global__ void store_moments_kernel(BatchNormMoments params, unsigned C, RowPartition partition) {
  combine_partials<combine_threads>(params.workspace, combined_tile(C), C, partition,
                                    [&](unsigned channel, const Statistics& statistics) {
                                      const auto count = static_cast<double>(partition.rows);
                                      const double mean = statistics.mean;
                                      params.moments[channel] = count * mean;
                                      params.moments[C + channel] = statistics.squares + count * mean * mean;
                                      if (channel == 0) params.moments[2 * C] = count;
                                    });
}

template <typename T, Epilogue epilogue>
__global__ void __launch_bounds__(block_threads, forward_blocks)
    normalize_kernel(BatchNormForward params, unsigned C, RowPartition partition) {
  const std::int64_t rows = partition.rows;
  const unsigned channel = first_channel<T>();
  const Normalization<T> normalization = normalization_of_block<T>(params, C, partition);
  if (channel >= C) return;
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
          float value = normalization.of(loaded.x.get(i), i);
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

// What is not given is added up before.
bool sums_rows(const BatchNormForward& params) { return params.moments == nullptr && params.sums == nullptr; }

Grid grid_of_forward(const Activations& shape, const BatchNormForward& params) {
  return sums_rows(params) ? grid_of_passes(shape, forward_blocks) : grid_for(shape, forward_blocks);
}

template <typename T>
void launch(const Activations& shape, const BatchNormMoments& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_of_passes(shape, forward_blocks);
  const RowPartition partition(shape.rows, blocks.x, threads);
  sum_rows_kernel<T><<<blocks, threads, 0, stream>>>(params.x, shape.C, partition, params.workspace);
  store_moments_kernel<<<ceil_divide(shape.C, combine_channels), combine_threads, 0, stream>>>(params, shape.C,
                                                                                               partition);
}

}  // namespace

RowPartition sum_rows(const Activations& shape, const BatchNormForward& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_of_forward(shape, params);
  const RowPartition partition(shape.rows, blocks.x, threads);
  if (!sums_rows(params)) return partition;
  dispatch_element(shape.element, [&](auto zero) {
    sum_rows_kernel<decltype(zero)><<<blocks, threads, 0, stream>>>(params.x, shape.C, partition, params.workspace);
  });
  if (is_small(shape)) return partition;
  combine_partials_kernel<<<ceil_divide(shape.C, combine_channels), combine_threads, 0, stream>>>(params.workspace,
                                                                                                  shape.C, partition);
  return RowPartition(shape.rows, 1, threads);
}

}  // namespace batch_norm

std::int64_t batch_norm_workspace(const Activations& shape) {
  using namespace batch_norm;
  return std::int64_t{2} * grid_of_passes(shape, std::max(forward_blocks, backward_blocks)).blocks.x * shape.C;
}

cudaError_t launch_batch_norm(const Activations& shape, const BatchNormForward& params, cudaStream_t stream) {
  const batch_norm::RowPartition partition = batch_norm::sum_rows(shape, params, stream);
  const auto [blocks, threads] = batch_norm::grid_of_forward(shape, params);
  dispatch_element(shape.element, [&](auto zero) {
    batch_norm::dispatch_epilogue(params.relu, params.residual != nullptr, [&](auto epilogue) {
      batch_norm::normalize_kernel<decltype(zero), decltype(epilogue)::value>
          <<<blocks, threads, 0, stream>>>(params, shape.C, partition);
    });
  });
  return cudaGetLastError();
}

cudaError_t launch_batch_norm_moments(const Activations& shape, const BatchNormMoments& params, cudaStream_t stream) {
  dispatch_element(shape.element, [&](auto zero) { batch_norm::launch<decltype(zero)>(shape, params, stream); });
  return cudaGetLastError();
}

}  // namespace trainyard
