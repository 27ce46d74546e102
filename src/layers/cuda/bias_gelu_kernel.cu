#include "layers/cuda/bias_gelu_kernel.h"
#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

constexpr unsigned resident_blocks = 4;  // per multiprocessor: more would leave too few registers

__device__ float normal_cdf(float x) { return 0.5F * (1 + erff(x * 0.7071067811865476F)); }

__device__ float normal_pdf(float x) { return 0.3989422804014327F * expf(-0.5F * x * x); }

template <typename T>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    bias_gelu_kernel(BiasGeluForward params, std::int64_t rows, unsigned C) {
  const unsigned channel = first_channel<T>();
  if (channel >= C) return;
  const PerChannel<vector_size<T>> bias(params.bias + channel);
  for_each_row<4, false>(
      rows, [&](std::int64_t row) { return load<T>(params.product, row * C + channel); },
      [&](std::int64_t row, const Vector<T>& product) {
        Vector<T> y;
#pragma unroll
        for (int i = 0; i < vector_size<T>; ++i) {
          const float x = product.get(i) + bias.at[i];
          y.set(i, x * normal_cdf(x));
        }
        store(params.y, row * C + channel, y);
      });
}

template <typename T>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    bias_gelu_gradient_kernel(BiasGeluBackward params, std::int64_t rows, unsigned C) {
  const unsigned channel = first_channel<T>();
  const PerChannel<vector_size<T>> bias(params.bias + (channel < C ? channel : 0));
  struct Loaded {
    Vector<T> dy, product;
  };
  write_and_reduce<T>(
      params.dproduct, params.workspace, rows, C,
      [&](std::int64_t row) {
        const std::int64_t element = row * C + channel;
        return Loaded{load<T>(params.dy, element), load<T>(params.product, element)};
      },
      [&](const Loaded& loaded, int i) {
        const float x = loaded.product.get(i) + bias.at[i];
        return loaded.dy.get(i) * fmaf(x, normal_pdf(x), normal_cdf(x));
      });
}

}  // namespace

std::int64_t bias_gelu_workspace(const Activations& shape) {
  return std::int64_t{grid_for(shape, resident_blocks).blocks.x} * shape.C;
}

cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluForward& params, cudaStream_t stream) {
  const Grid grid = grid_for(shape, resident_blocks);
  dispatch_element(shape.element, [&](auto zero) {
    bias_gelu_kernel<decltype(zero)><<<grid.blocks, grid.threads, 0, stream>>>(params, shape.rows, shape.C);
  });
  return cudaGetLastError();
}

cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluBackward& params, cudaStream_t stream) {
  const Grid grid = grid_for(shape, resident_blocks);
  dispatch_element(shape.element, [&](auto zero) {
    bias_gelu_gradient_kernel<decltype(zero)><<<grid.blocks, grid.threads, 0, stream>>>(params, shape.rows, shape.C);
  });
  launch_reduce_blocks(params.workspace, grid.blocks.x, shape.C, params.dbias, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
