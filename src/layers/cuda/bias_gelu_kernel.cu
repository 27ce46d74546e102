#include "layers/cuda/bias_gelu_kernel.h"
#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

constexpr unsigned resident_blocks = 4;  // on a multiprocessor: more leave too few registers

// The share of the normal distribution that lies below x.
__device__ float normal_below(float x) { return 0.5F * (1 + erff(x * 0.7071067811865476F)); }

__device__ float normal_density(float x) { return 0.3989422804014327F * expf(-0.5F * x * x); }

template <typename T>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    bias_gelu_kernel(BiasGeluForward task, std::int64_t rows, unsigned channels) {
  const unsigned channel = first_channel<T>();
  if (channel >= channels) return;
  const PerChannel<lanes<T>> bias(task.bias + channel);
  for_each_row<4, false>(
      rows, [&](std::int64_t row) { return load<T>(task.product, row * channels + channel); },
      [&](std::int64_t row, const Vector<T>& product) {
        Vector<T> y;
#pragma unroll
        for (int i = 0; i < lanes<T>; ++i) {
          const float x = product.get(i) + bias.at[i];
          y.set(i, x * normal_below(x));
        }
        store(task.y, row * channels + channel, y);
      });
}

template <typename T>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    bias_gelu_gradient_kernel(BiasGeluBackward task, std::int64_t rows, unsigned channels) {
  const unsigned channel = first_channel<T>();
  const PerChannel<lanes<T>> bias(task.bias + (channel < channels ? channel : 0));
  struct Loaded {
    Vector<T> dy, product;
  };
  write_and_sum<T>(
      task.dproduct, task.workspace, rows, channels,
      [&](std::int64_t row) {
        const std::int64_t element = row * channels + channel;
        return Loaded{load<T>(task.dy, element), load<T>(task.product, element)};
      },
      [&](const Loaded& loaded, int i) {
        const float x = loaded.product.get(i) + bias.at[i];
        return loaded.dy.get(i) * fmaf(x, normal_density(x), normal_below(x));
      });
}

}  // namespace

std::int64_t bias_gelu_workspace(const Activations& shape) {
  return std::int64_t{grid_of(shape, resident_blocks).blocks.x} * shape.channels;
}

cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluForward& task, cudaStream_t stream) {
  const Grid grid = grid_of(shape, resident_blocks);
  with_type_of(shape.element, [&](auto zero) {
    bias_gelu_kernel<decltype(zero)><<<grid.blocks, grid.threads, 0, stream>>>(task, shape.rows, shape.channels);
  });
  return cudaGetLastError();
}

cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluBackward& task, cudaStream_t stream) {
  const Grid grid = grid_of(shape, resident_blocks);
  with_type_of(shape.element, [&](auto zero) {
    bias_gelu_gradient_kernel<decltype(zero)>
        <<<grid.blocks, grid.threads, 0, stream>>>(task, shape.rows, shape.channels);
  });
  launch_add_blocks(task.workspace, grid.blocks.x, shape.channels, task.dbias, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
