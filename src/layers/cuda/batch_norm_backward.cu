#include "layers/cuda/batch_norm_common.cuh"

namespace trainyard {
namespace batch_norm {
namespace {

// What reaches a normalised number of the gradient `dy` of its ReLU.
template <typename T>
__device__ float through_relu(float dy, float x, const Scaling<T>& scaling, const PerChannel<lanes<T>>& bias, int i) {
  return passes(rounded<T>(normalised(x, scaling.mean.at[i], scaling.scale.at[i], bias.at[i]))) ? dy : 0;
}

// Per channel: the sum of what reaches the normalised x of the gradient, and of its product with x - mean.
template <typename T, Then then>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    sum_gradients_kernel(BatchNormBackward task, std::int64_t rows, unsigned channels) {
  const unsigned channel = first_channel<T>();
  const bool inside = channel < channels;
  float sums[2 * lanes<T>] = {};
  if (inside) {
    const Scaling<T> scaling(task, channel);
    const PerChannel<lanes<T>> bias(task.bias + channel);
    struct Loaded {
      Vector<T> dy, more_dy, x;
      unsigned passed;
    };
    for_each_row<2, true>(
        rows,
        [&](std::int64_t row) {
          const std::int64_t element = row * channels + channel;
          Loaded loaded{load<T>(task.dy, element), {}, load<T>(task.x, element), 0};
          if constexpr (then == Then::add_relu) {
            if (task.more_dy != nullptr) loaded.more_dy = load<T>(task.more_dy, element);
            loaded.passed = task.passed[element / lanes<T>];
          }
          return loaded;
        },
        [&](std::int64_t row, const Loaded& loaded) {
          Vector<T> dresidual;
#pragma unroll
          for (int i = 0; i < lanes<T>; ++i) {
            const float x = loaded.x.get(i);
            float dy = loaded.dy.get(i);
            if constexpr (then == Then::relu) {
              dy = through_relu<T>(dy, x, scaling, bias, i);
            } else if constexpr (then == Then::add_relu) {
              dy = (loaded.passed >> i & 1) != 0 ? dy + loaded.more_dy.get(i) : 0;
              dresidual.set(i, dy);
            }
            sums[i] += dy;
            sums[lanes<T> + i] = fmaf(dy, x - scaling.mean.at[i], sums[lanes<T> + i]);
          }
          if constexpr (then == Then::add_relu) store(task.dresidual, row * channels + channel, dresidual);
        });
  }
  sum_over_column<block_threads>(sums);
  if (!inside || threadIdx.y != 0) return;
  float* const partials = task.workspace + std::int64_t{2} * blockIdx.x * channels + channel;
#pragma unroll
  for (int i = 0; i < lanes<T>; ++i) {
    partials[i] = sums[i];
    partials[channels + i] = sums[lanes<T> + i];
  }
}

// What is taken off the gradient: its mean, and the part of it that goes along with x - mean.
struct Correction {
  float* mean;
  float* slope;

  Correction(float* workspace, unsigned channels, unsigned blocks)
      : mean(workspace + std::int64_t{2} * blocks * channels), slope(mean + channels) {}
};

__global__ void finish_gradients_kernel(BatchNormBackward task, std::int64_t rows, unsigned channels, unsigned blocks,
                                        Correction correction) {
  const unsigned channel = blockIdx.x * finish_columns + threadIdx.x;
  const bool inside = channel < channels;
  float sums[2] = {};
  if (inside) {
#pragma unroll 4
    for (unsigned block = threadIdx.y; block < blocks; block += finish_rows) {
      const float* const partials = task.workspace + std::int64_t{2} * block * channels + channel;
      sums[0] += partials[0];
      sums[1] += partials[channels];
    }
  }
  sum_over_column<finish_columns * finish_rows>(sums);
  if (!inside || threadIdx.y != 0) return;
  const float inverse_deviation = task.inverse_deviation[channel];
  task.dbias[channel] = sums[0];
  task.dweight[channel] = sums[1] * inverse_deviation;
  correction.mean[channel] = sums[0] / static_cast<float>(rows);
  correction.slope[channel] = sums[1] / static_cast<float>(rows) * inverse_deviation * inverse_deviation *
                              inverse_deviation * task.weight[channel];
}

template <typename T, Then then>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    input_gradient_kernel(BatchNormBackward task, std::int64_t rows, unsigned channels, Correction correction) {
  const unsigned channel = first_channel<T>();
  if (channel >= channels) return;
  const Scaling<T> scaling(task, channel);
  const PerChannel<lanes<T>> bias(task.bias + channel);
  const PerChannel<lanes<T>> mean_gradient(correction.mean + channel);
  const PerChannel<lanes<T>> slope(correction.slope + channel);
  const void* const gradient = then == Then::add_relu ? task.dresidual : task.dy;
  struct Loaded {
    Vector<T> dy, x;
  };
  for_each_row<2, false>(
      rows,
      [&](std::int64_t row) {
        const std::int64_t element = row * channels + channel;
        return Loaded{load<T>(gradient, element), load<T>(task.x, element)};
      },
      [&](std::int64_t row, const Loaded& loaded) {
        Vector<T> dx;
#pragma unroll
        for (int i = 0; i < lanes<T>; ++i) {
          const float x = loaded.x.get(i);
          float dy = loaded.dy.get(i);
          if constexpr (then == Then::relu) dy = through_relu<T>(dy, x, scaling, bias, i);
          dx.set(i, fmaf(scaling.scale.at[i], dy - mean_gradient.at[i], (scaling.mean.at[i] - x) * slope.at[i]));
        }
        store(task.dx, row * channels + channel, dx);
      });
}

template <typename T, Then then>
void launch(const Activations& shape, const BatchNormBackward& task, cudaStream_t stream) {
  const auto [blocks, threads] = grid_of(shape, backward_blocks);
  const Correction correction(task.workspace, shape.channels, blocks.x);
  sum_gradients_kernel<T, then><<<blocks, threads, 0, stream>>>(task, shape.rows, shape.channels);
  finish_gradients_kernel<<<ceil_divide(shape.channels, finish_columns), dim3(finish_columns, finish_rows), 0,
                            stream>>>(task, shape.rows, shape.channels, blocks.x, correction);
  if (task.dx == nullptr) return;
  input_gradient_kernel<T, then><<<blocks, threads, 0, stream>>>(task, shape.rows, shape.channels, correction);
}

}  // namespace
}  // namespace batch_norm

cudaError_t launch_batch_norm(const Activations& shape, const BatchNormBackward& task, cudaStream_t stream) {
  with_type_of(shape.element, [&](auto zero) {
    batch_norm::with_what_follows(task.relu, task.dresidual != nullptr, [&](auto then) {
      batch_norm::launch<decltype(zero), decltype(then)::value>(shape, task, stream);
    });
  });
  return cudaGetLastError();
}

}  // namespace trainyard
