#include "layers/cuda/batch_norm_common.cuh"

namespace trainyard {
namespace batch_norm {
namespace {

// How many rows for_each_row makes for each block.
struct Deal {
  std::int64_t each;  // all get so many
  std::int64_t rest;  // and these are dealt out from block 0 on
  std::int64_t abreast;

  Deal(std::int64_t rows, dim3 blocks, dim3 threads)
      : each(rows / (std::int64_t{blocks.x} * threads.y) * threads.y),
        rest(rows % (std::int64_t{blocks.x} * threads.y)),
        abreast(threads.y) {}

  __device__ float of(unsigned block) const {
    return static_cast<float>(each + min(max(rest - block * abreast, std::int64_t{0}), abreast));
  }
};

// A block's rows give its mean and its sum of squared distances from it. Subtracting its first row before squaring
// keeps what a variance needs: at most the block's number of rows is lost to cancellation, not the square of the mean.
template <typename T>
__global__ void __launch_bounds__(block_threads, forward_blocks)
    sum_rows_kernel(const void* x, std::int64_t rows, unsigned channels, Deal deal, float* partials) {
  const unsigned channel = first_channel<T>();
  const bool inside = channel < channels;
  Vector<T> first{};
  float sums[2 * lanes<T>] = {};
  if (inside) {
    first = load<T>(x, (rows - 1 - static_cast<std::int64_t>(blockIdx.x) * blockDim.y) * channels + channel);
    for_each_row<4, true>(
        rows, [&](std::int64_t row) { return load<T>(x, row * channels + channel); },
        [&](std::int64_t, const Vector<T>& values) {
#pragma unroll
          for (int i = 0; i < lanes<T>; ++i) {
            const float distance = values.get(i) - first.get(i);
            sums[i] += distance;
            sums[lanes<T> + i] = fmaf(distance, distance, sums[lanes<T> + i]);
          }
        });
  }
  sum_over_column<block_threads>(sums);
  if (!inside || threadIdx.y != 0) return;
  const float count = deal.of(blockIdx.x);
  float* const means = partials + std::int64_t{2} * blockIdx.x * channels + channel;
#pragma unroll
  for (int i = 0; i < lanes<T>; ++i) {
    const float offset = sums[i] / count;
    means[i] = first.get(i) + offset;
    means[channels + i] = sums[lanes<T> + i] - sums[i] * offset;
  }
}

// The blocks' means and squares make the batch's, in the same way.
__global__ void finish_statistics_kernel(BatchNormForward task, std::int64_t rows, unsigned channels, Deal deal,
                                         unsigned blocks) {
  const unsigned channel = blockIdx.x * finish_columns + threadIdx.x;
  const bool inside = channel < channels;
  const float first = inside ? task.workspace[channel] : 0;
  float sums[2] = {};
  if (inside) {
#pragma unroll 4
    for (unsigned block = threadIdx.y; block < blocks; block += finish_rows) {
      const float* const means = task.workspace + std::int64_t{2} * block * channels + channel;
      const float distance = means[0] - first;
      const float weighted = deal.of(block) * distance;
      sums[0] += weighted;
      sums[1] += fmaf(weighted, distance, means[channels]);
    }
  }
  sum_over_column<finish_columns * finish_rows>(sums);
  if (!inside || threadIdx.y != 0) return;
  const float offset = sums[0] / static_cast<float>(rows);
  const float mean = first + offset;
  float squares = sums[1] - sums[0] * offset;
  if (squares < 0) squares = 0;  // rounding; NaN stays
  task.mean[channel] = mean;
  task.inverse_deviation[channel] = 1 / sqrtf(squares / static_cast<float>(rows) + task.eps);
  const auto update = [&](float& running, float now) { running += task.momentum * (now - running); };
  update(task.running_mean[channel], mean);
  update(task.running_variance[channel], squares / static_cast<float>(rows - 1));
  if (channel == 0) ++*task.batches;
}

template <typename T, Then then>
__global__ void __launch_bounds__(block_threads, forward_blocks)
    normalise_kernel(BatchNormForward task, std::int64_t rows, unsigned channels) {
  const unsigned channel = first_channel<T>();
  if (channel >= channels) return;
  const Scaling<T> scaling(task, channel);
  const PerChannel<lanes<T>> bias(task.bias + channel);
  struct Loaded {
    Vector<T> x, residual;
  };
  for_each_row<then == Then::add_relu ? 2 : 4, false>(
      rows,
      [&](std::int64_t row) {
        const std::int64_t element = row * channels + channel;
        Loaded loaded{load<T>(task.x, element), {}};
        if constexpr (then == Then::add_relu) loaded.residual = load<T>(task.residual, element);
        return loaded;
      },
      [&](std::int64_t row, const Loaded& loaded) {
        Vector<T> y;
        unsigned passed = 0;
#pragma unroll
        for (int i = 0; i < lanes<T>; ++i) {
          float value = normalised(loaded.x.get(i), scaling.mean.at[i], scaling.scale.at[i], bias.at[i]);
          if constexpr (then == Then::add_relu) value += loaded.residual.get(i);
          if (then != Then::nothing && value < 0) value = 0;  // NaN stays
          y.set(i, value);
          passed |= passes(y.get(i)) << i;
        }
        const std::int64_t element = row * channels + channel;
        store(task.y, element, y);
        if constexpr (then == Then::add_relu) task.passed[element / lanes<T>] = static_cast<std::uint8_t>(passed);
      });
}

template <typename T, Then then>
void launch(const Activations& shape, const BatchNormForward& task, cudaStream_t stream) {
  const auto [blocks, threads] = grid_of(shape, forward_blocks);
  const Deal deal(shape.rows, blocks, threads);
  sum_rows_kernel<T><<<blocks, threads, 0, stream>>>(task.x, shape.rows, shape.channels, deal, task.workspace);
  finish_statistics_kernel<<<ceil_divide(shape.channels, finish_columns), dim3(finish_columns, finish_rows), 0,
                             stream>>>(task, shape.rows, shape.channels, deal, blocks.x);
  normalise_kernel<T, then><<<blocks, threads, 0, stream>>>(task, shape.rows, shape.channels);
}

}  // namespace
}  // namespace batch_norm

std::int64_t batch_norm_workspace(const Activations& shape) {
  const unsigned blocks = grid_of(shape, std::max(batch_norm::forward_blocks, batch_norm::backward_blocks)).blocks.x;
  return std::int64_t{2} * (blocks + 1) * shape.channels;  // the blocks' two sums, then backward's Correction
}

cudaError_t launch_batch_norm(const Activations& shape, const BatchNormForward& task, cudaStream_t stream) {
  with_type_of(shape.element, [&](auto zero) {
    batch_norm::with_what_follows(task.relu, task.residual != nullptr, [&](auto then) {
      batch_norm::launch<decltype(zero), decltype(then)::value>(shape, task, stream);
    });
  });
  return cudaGetLastError();
}

}  // namespace trainyard
