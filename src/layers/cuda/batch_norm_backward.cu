#include "layers/cuda/batch_norm_common.cuh"

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
    const Scaling<T> scaling(params, channel);
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

__device__ void correct(const Correction& correction, const BatchNormBackward& params, unsigned channel, float sum_dy,
                        float sum_dy_x, float rows) {
  const float rstd = params.rstd[channel];
  correction.mean[channel] = sum_dy / rows;
  correction.slope[channel] = sum_dy_x / rows * rstd * rstd * rstd * params.weight[channel];
}

__global__ void finish_gradients_kernel(BatchNormBackward params, unsigned C, unsigned blocks, Correction correction) {
  const unsigned channel = blockIdx.x * tile_channels + threadIdx.x;
  const bool in_range = channel < C;
  float sums[2] = {};
  if (in_range) {
#pragma unroll 4
    for (unsigned block = threadIdx.y; block < blocks; block += tile_rows) {
      const float* const partials = params.workspace + std::int64_t{2} * block * C + channel;
      sums[0] += partials[0];
      sums[1] += partials[C];
    }
  }
  block_reduce_sum<tile_channels * tile_rows>(sums);
  if (!in_range || threadIdx.y != 0) return;
  params.dbias[channel] = sums[0];
  params.dweight[channel] = sums[1] * params.rstd[channel];
  if (params.sums == nullptr) {
    correct(correction, params, channel, sums[0], sums[1], static_cast<float>(params.batch));
  } else {
    params.sums[channel] = sums[0];
    params.sums[C + channel] = sums[1];
  }
}

__global__ void correct_by_sums_kernel(BatchNormBackward params, unsigned C, Correction correction) {
  const unsigned channel = blockIdx.x * blockDim.x + threadIdx.x;
  if (channel >= C) return;
  correct(correction, params, channel, static_cast<float>(params.sums[channel]),
          static_cast<float>(params.sums[C + channel]), static_cast<float>(*params.rows));
}

template <typename T, Epilogue epilogue>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    input_gradient_kernel(BatchNormBackward params, std::int64_t rows, unsigned C, Correction correction) {
  const unsigned channel = first_channel<T>();
  if (channel >= C) return;
  const InputGradient<T> input_gradient(params, correction, channel);
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

template <typename T, Epilogue epilogue>
void sum(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_for(shape, backward_blocks);
  const Correction correction(params.workspace, shape.C, blocks.x);
  sum_gradients_kernel<T, epilogue><<<blocks, threads, 0, stream>>>(params, shape.rows, shape.C);
  finish_gradients_kernel<<<ceil_divide(shape.C, tile_channels), dim3(tile_channels, tile_rows), 0, stream>>>(
      params, shape.C, blocks.x, correction);
}

template <typename T, Epilogue epilogue>
void input_gradient(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  const auto [blocks, threads] = grid_for(shape, backward_blocks);
  const Correction correction = correction_of(shape, params, stream);
  input_gradient_kernel<T, epilogue><<<blocks, threads, 0, stream>>>(params, shape.rows, shape.C, correction);
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

Correction correction_of(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream) {
  const Correction correction(params.workspace, shape.C, grid_for(shape, backward_blocks).blocks.x);
  if (params.sums != nullptr) {
    correct_by_sums_kernel<<<ceil_divide(shape.C, block_threads), block_threads, 0, stream>>>(params, shape.C,
                                                                                              correction);
  }
  return correction;
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
