// A thread computes one vector of a pixel's channels: forward of y, from the pixel's window; backward of dx, from all
// windows that contain the pixel. So each element is written once, without atomics, and sums have a fixed order.

#include "layers/cuda/max_pool_common.cuh"
#include "layers/cuda/max_pool_kernel.h"

namespace trainyard {
namespace {

constexpr unsigned forward_blocks = 3;  // resident per multiprocessor: more would leave too few registers
constexpr unsigned backward_blocks = 4;

template <typename T, unsigned size>
__global__ void __launch_bounds__(block_threads, forward_blocks) max_pool_kernel(Pooling p, MaxPoolForward params) {
  const unsigned channel = first_channel<T>();
  if (channel >= p.C) return;
  const unsigned pixels = p.images * p.out_height * p.out_width;
  for (unsigned index = blockIdx.x * blockDim.y + threadIdx.y; index < pixels; index += gridDim.x * blockDim.y) {
    const Pixel pixel(index, p.out_height, p.out_width);
    const int top = static_cast<int>(pixel.row * p.stride) - static_cast<int>(p.padding);
    const int left = static_cast<int>(pixel.column * p.stride) - static_cast<int>(p.padding);
    const auto within = [&](unsigned tap) {
      return static_cast<unsigned>(top) + tap / size < p.height && static_cast<unsigned>(left) + tap % size < p.width;
    };
    Vector<T> window[size * size];
#pragma unroll
    for (unsigned tap = 0; tap < size * size; ++tap) {
      if (!within(tap)) continue;
      const std::int64_t at = pixel_at(pixel.image, top + tap / size, left + tap % size, p.height, p.width);
      window[tap] = load<T>(params.x, at * p.C + channel);
    }
    Vector<T> best{};
    ArgMax<T> argmax{};
    bool started = false;
#pragma unroll
    for (unsigned tap = 0; tap < size * size; ++tap) {
      if (!within(tap)) continue;
#pragma unroll
      for (int i = 0; i < vector_size<T>; ++i) {
        const float value = window[tap].get(i);
        if (started && !replaces(value, best.get(i))) continue;
        best.set(i, value);
        argmax.set(i, tap);
      }
      started = true;
    }
    const std::int64_t element = std::int64_t{index} * p.C + channel;
    store(params.y, element, best);
    store(params.argmax, element, argmax);
  }
}

template <typename T, unsigned size>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    max_pool_gradient_kernel(Pooling p, MaxPoolBackward params) {
  const unsigned channel = first_channel<T>();
  if (channel >= p.C) return;
  const unsigned pixels = p.images * p.height * p.width;
  for (unsigned index = blockIdx.x * blockDim.y + threadIdx.y; index < pixels; index += gridDim.x * blockDim.y) {
    const Pixel pixel(index, p.height, p.width);
    const unsigned row = pixel.row + p.padding;  // in the padded image, where windows begin
    const unsigned column = pixel.column + p.padding;
    const auto first_window = [&](unsigned at) { return at < size ? 0 : (at - size) / p.stride + 1; };
    float sums[vector_size<T>] = {};
    for (unsigned y = first_window(row); y <= min(row / p.stride, p.out_height - 1); ++y) {
      for (unsigned x = first_window(column); x <= min(column / p.stride, p.out_width - 1); ++x) {
        const std::int64_t element = pixel_at(pixel.image, y, x, p.out_height, p.out_width) * p.C + channel;
        const Vector<T> dy = load<T>(params.dy, element);
        const auto argmax = load_argmax<T>(params.argmax, element);
        const unsigned tap = (row - y * p.stride) * size + column - x * p.stride;
#pragma unroll
        for (int i = 0; i < vector_size<T>; ++i) sums[i] += argmax.get(i) == tap ? dy.get(i) : 0;
      }
    }
    Vector<T> dx;
#pragma unroll
    for (int i = 0; i < vector_size<T>; ++i) dx.set(i, sums[i]);
    store(params.dx, std::int64_t{index} * p.C + channel, dx);
  }
}

template <typename T, unsigned size>
void launch(const Pooling& p, const MaxPoolForward& params, cudaStream_t stream) {
  const auto [blocks, threads] =
      grid_for({std::int64_t{p.images} * p.out_height * p.out_width, p.C, p.element}, forward_blocks);
  max_pool_kernel<T, size><<<blocks, threads, 0, stream>>>(p, params);
}

template <typename T, unsigned size>
void launch(const Pooling& p, const MaxPoolBackward& params, cudaStream_t stream) {
  const auto [blocks, threads] =
      grid_for({std::int64_t{p.images} * p.height * p.width, p.C, p.element}, backward_blocks);
  max_pool_gradient_kernel<T, size><<<blocks, threads, 0, stream>>>(p, params);
}

template <typename Params>
cudaError_t launch(const Pooling& p, const Params& params, cudaStream_t stream) {
  dispatch_element(p.element, [&](auto zero) {
    using T = decltype(zero);
    return p.size == 2 ? launch<T, 2>(p, params, stream) : launch<T, 3>(p, params, stream);
  });
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_max_pool(const Pooling& p, const MaxPoolForward& params, cudaStream_t stream) {
  return launch(p, params, stream);
}

cudaError_t launch_max_pool(const Pooling& p, const MaxPoolBackward& params, cudaStream_t stream) {
  return launch(p, params, stream);
}

}  // namespace trainyard
