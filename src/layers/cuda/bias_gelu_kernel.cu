#include "layers/cuda/bias_gelu_kernel.h"
#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

constexpr unsigned resident_blocks = 4;  // per multiprocessor: more would leave too few registers

struct ExactGelu {
  static __device__ float cdf(float x) { return 0.5F * (1 + erff(x * 0.7071067811865476F)); }
  static __device__ float pdf(float x) { return 0.3989422804014327F * expf(-0.5F * x * x); }

  static __device__ float value(float x) { return x * cdf(x); }
  static __device__ float derivative(float x) { return fmaf(x, pdf(x), cdf(x)); }
};

// x · sigmoid(2u) = x / 2 · (1 + tanh(u)) with u = sqrt(2 / π) · (x + cubic · x³)
struct TanhGelu {
  static constexpr float twice_root = 1.5957691216057308F;  // 2 · sqrt(2 / π)
  static constexpr float cubic = 0.044715F;

  static __device__ float sigmoid(float x) {
    return __fdividef(1, 1 + __expf(-twice_root * x * fmaf(cubic * x, x, 1)));
  }

  static __device__ float value(float x) { return x * sigmoid(x); }
  static __device__ float derivative(float x) {
    const float s = sigmoid(x);
    return fmaf(x * s * (1 - s), twice_root * fmaf(3 * cubic * x, x, 1), s);
  }
};

template <typename T, typename Gelu>
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
          y.set(i, Gelu::value(product.get(i) + bias.at[i]));
        }
        store(params.y, row * C + channel, y);
      });
}

template <typename T, typename Gelu>
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
        return loaded.dy.get(i) * Gelu::derivative(loaded.product.get(i) + bias.at[i]);
      });
}

// Calls run(T(), form) with the element type T and ExactGelu or TanhGelu.
template <typename Run>
void dispatch(Element element, bool tanh, const Run& run) {
  dispatch_element(element, [&](auto zero) { tanh ? run(zero, TanhGelu()) : run(zero, ExactGelu()); });
}

}  // namespace

std::int64_t bias_gelu_workspace(const Activations& shape) {
  return std::int64_t{grid_for(shape, resident_blocks).blocks.x} * shape.C;
}

cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluForward& params, cudaStream_t stream) {
  const Grid grid = grid_for(shape, resident_blocks);
  dispatch(shape.element, params.tanh, [&](auto zero, auto form) {
    bias_gelu_kernel<decltype(zero), decltype(form)>
        <<<grid.blocks, grid.threads, 0, stream>>>(params, shape.rows, shape.C);
  });
  return cudaGetLastError();
}

cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluBackward& params, cudaStream_t stream) {
  const Grid grid = grid_for(shape, resident_blocks);
  dispatch(shape.element, params.tanh, [&](auto zero, auto form) {
    bias_gelu_gradient_kernel<decltype(zero), decltype(form)>
        <<<grid.blocks, grid.threads, 0, stream>>>(params, shape.rows, shape.C);
  });
  launch_reduce_blocks(params.workspace, grid.blocks.x, shape.C, params.dbias, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
