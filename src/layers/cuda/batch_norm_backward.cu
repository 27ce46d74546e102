#include "layers/cuda/batch_norm_input_gradient.cuh"

namespace trainyard {
namespace batch_norm {
namespace {

// The gradient of the ReLU's input, from `dy` of its output.
template <typename T>
__device__ float relu_backward(float dy, float x, const Scaling<T>& scaling, const PerChannel<vector_size<T>>& bias,
                               int i) {
  return relu_passes(rounded<T>(normalize(x, scaling.mean.at[i], scaling.scale.at[i], bias.at[i]))) ? dy : 0;
}

// Per channel: the sums of the gradient of the normalized x, and of its product with x - mean.
template <typename T, Epilogue epilogue>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    sum_gradients_kernel(BatchNormBackward params, std::int64_t rows, unsigned C) {
  const unsigned channel = first_channel<T>();
  const bool in_range = channel < C;
  float sums[2 * vector_size<T>] = {};
  if (in_range) {
    const Scaling<T> scaling = scaling_of<T>(params, channel);
    const PerChannel<vector_size<T>> bias(params.bias + channel);
    struct Loaded {
      Vector<T> dy, dy_extra, x;
      unsigned relu_mask;
    };
    for_each_row<2, true>(
        rows,
        [&](std::int64_t row) {
          const std::int64_t element = row * C + channel;
          Loaded loaded{load<T>(params.dy, element), {}, load<T>(params.x, element), 0};
          if constexpr (epilogue == Epilogue::add_relu) {
            if (params.dy_extra != nullptr) loaded.dy_extra = load<T>(params.dy_extra, element);
            loaded.relu_mask = params.relu_mask[element / vector_size<T>];
          }
          return loaded;
        },
        [&](std::int64_t row, const Loaded& loaded) {
          Vector<T> masked_dy;
#pragma unroll
          for (int i = 0; i < vector_size<T>; ++i) {
            const float x = loaded.x.get(i);
            float dy = loaded.dy.get(i);
            if constexpr (epilogue == Epilogue::relu) {
              dy = relu_backward<T>(dy, x, scaling, bias, i);
            } else if constexpr (epilogue == Epilogue::add_relu) {
              dy = (loaded.relu_mask >> i & 1) != 0 ? dy + loaded.dy_extra.get(i) : 0;
              masked_dy.set(i, dy);
            }
            sums[i] += dy;
            sums[vector_size<T> + i] = fmaf(dy, x - scaling.mean.at[i], sums[vector_size<T> + i]);
          }
          if constexpr (epilogue == Epilogue::add_relu) store(params.masked_dy, row * C + channel, masked_dy);
        });
  }
  block_reduce_sum<block_threads>(sums);
  if (!in_range || threadIdx.y != 0) return;
  float* const partials = params.workspace + std::int64_t{2} * blockIdx.x * C + channel;
#pragma unroll
  for (int i = 0; i < vector_size<T>; ++i) {
    partials[i] = sums[i];
    partials[C + i] = sums[vector_size<T> + i];
  }
}

// Leaves the sums of all rows in params.sums, or in the place of the first block's.
__global__ void finish_gradients_kernel(BatchNormBackward params, unsigned C, unsigned blocks) {
  combine_partials<combine_threads>(params.workspace, combined_tile(C), C, blocks,
                                    [&](unsigned channel, const float (&sums)[2]) {
                                      store_gradients(params, channel, sums);
                                      if (params.sums == nullptr) {
                                        params.workspace[channel] = sums[0];
                                        params.workspace[C + channel] = sums[1];
                                      } else {
                                        params.sums[channel] = sums[0];
                                        params.sums[C + channel] = sums[1];
                                      }
                                    });
}

template <typename T, Epilogue epilogue>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    input_gradient_kernel(BatchNormBackward params, std::int64_t rows, unsigned C, unsigned partials) {
  const unsigned channel = first_channel<T>();
  const InputGradient<T> input_gradient = input_gradient_of_block<T>(params, C, partials);
  if (channel >= C) return;
  const PerChannel<vector_size<T>> bias(params.bias + channel);
  const void* const gradient = epilogue == Epilogue::add_relu ? params.masked_dy : params.dy;
  struct Loaded {
    Vector<T> dy, x;
  };
  for_each_row<2, false>(
      rows,
      [&](std::int64_t row) {
        const std::int64_t element = row * C + channel;
        return Loaded{load<T>(gradient, element), load<T>(params.x, element)};
      },
      [&](std::int64_t row, const Loaded& loaded) {
        Vector<T> dx;
#pragma unroll
        for (int i = 0; i < vector_size<T>; ++i) {
          const float x = loaded.x.get(i);
          float dy = loaded.dy.get(i);
          if constexpr (epilogue == Epilogue::relu) dy = relu_backward<T>(dy, x, input_gradient.scaling, bias, i);
          dx.set(i, input_gradient.of(dy, x, i));
        }
        store(params.dx, row * C + channel, dx);
      });
}

// Whether a kernel between the passes adds up the partial sums.
bool finishes(const Activations& shape, const BatchNormBackward& params) {
  return !is_small(shape) || params.dx == nullptr || params.sums != nullptr;
}

template <typename T, Epilogue epilogue>
void sum(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_of_passes(shape, backward_blocks);
  sum_gradients_kernel<T, epilogue><<<blocks, threads, 0, stream>>>(params, shape.rows, shape.C);
  if (!finishes(shape, params)) return;
  finish_gradients_kernel<<<ceil_divide(shape.C, combine_channels), combine_threads, 0, stream>>>(params, shape.C,
                                                                                                  blocks.x);
}

template <typename T, Epilogue epilogue>
void input_gradient(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_of_passes(shape, backward_blocks);
  input_gradient_kernel<T, epilogue>
      <<<blocks, threads, 0, stream>>>(params, shape.rows, shape.C, partial_sums(shape, params));
}

// Calls run(zero of the element's type, std::integral_constant<Epilogue, ...>()).
template <typename Run>
cudaError_t dispatch(const Activations& shape, const BatchNormBackward& params, const Run& run) {
  dispatch_element(shape.element, [&](auto zero) {
    dispatch_epilogue(params.relu, params.masked_dy != nullptr, [&](auto epilogue) { run(zero, epilogue); });
  });
  return cudaGetLastError();
}

}  // namespace

unsigned partial_sums(const Activations& shape, const BatchNormBackward& params) {
  return finishes(shape, params) ? 1 : grid_of_passes(shape, backward_blocks).blocks.x;
}

}  // namespace batch_norm

cudaError_t launch_batch_norm_sums(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  return batch_norm::dispatch(shape, params, [&](auto zero, auto epilogue) {
    batch_norm::sum<decltype(zero), decltype(epilogue)::value>(shape, params, stream);
  });
}

cudaError_t launch_batch_norm_dx(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  return batch_norm::dispatch(shape, params, [&](auto zero, auto epilogue) {
    batch_norm::input_gradient<decltype(zero), decltype(epilogue)::value>(shape, params, stream);
  });
}

}  // namespace trainyard
