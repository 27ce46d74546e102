// A thread gives a vector of a pixel's channels: forward of y, for which it reads a window; backward of dx, for which
// it reads the windows that the pixel is in. So each number is written once, and sums have one order.

#include <type_traits>

#include "layers/cuda/max_pool_kernel.h"
#include "layers/cuda/vectors.cuh"

namespace trainyard {
namespace {

constexpr unsigned forward_blocks = 3;  // resident on a multiprocessor: more leave too few registers
constexpr unsigned backward_blocks = 4;

// A vector's places in their windows, one a byte.
template <typename T>
struct Places {
  std::conditional_t<lanes<T> == 8, uint2, std::uint32_t> bytes;

  __device__ unsigned get(int lane) const { return reinterpret_cast<const std::uint8_t*>(&bytes)[lane]; }
  __device__ void set(int lane, unsigned place) {
    reinterpret_cast<std::uint8_t*>(&bytes)[lane] = static_cast<std::uint8_t>(place);
  }
};

struct Pixel {
  unsigned image, row, column;

  __device__ Pixel(unsigned index, unsigned height, unsigned width)
      : image(index / width / height), row(index / width % height), column(index % width) {}
};

__device__ std::int64_t pixel_at(unsigned image, unsigned row, unsigned column, unsigned height, unsigned width) {
  return (std::int64_t{image} * height + row) * width + column;
}

template <typename T, unsigned size>
__global__ void __launch_bounds__(block_threads, forward_blocks) max_pool_kernel(Pooling p, MaxPoolForward task) {
  const unsigned channel = first_channel<T>();
  if (channel >= p.channels) return;
  const unsigned pixels = p.images * p.out_height * p.out_width;
  for (unsigned index = blockIdx.x * blockDim.y + threadIdx.y; index < pixels; index += gridDim.x * blockDim.y) {
    const Pixel pixel(index, p.out_height, p.out_width);
    const int top = static_cast<int>(pixel.row * p.stride) - static_cast<int>(p.padding);
    const int left = static_cast<int>(pixel.column * p.stride) - static_cast<int>(p.padding);
    const auto within = [&](unsigned place) {
      return static_cast<unsigned>(top) + place / size < p.height &&
             static_cast<unsigned>(left) + place % size < p.width;
    };
    Vector<T> window[size * size];
#pragma unroll
    for (unsigned place = 0; place < size * size; ++place) {
      if (!within(place)) continue;
      const std::int64_t at = pixel_at(pixel.image, top + place / size, left + place % size, p.height, p.width);
      window[place] = load<T>(task.x, at * p.channels + channel);
    }
    Vector<T> best{};
    Places<T> places{};
    bool begun = false;
#pragma unroll
    for (unsigned place = 0; place < size * size; ++place) {
      if (!within(place)) continue;
#pragma unroll
      for (int i = 0; i < lanes<T>; ++i) {
        const float value = window[place].get(i);
        if (begun && !(value > best.get(i)) && !isnan(value)) continue;  // of equal ones the first; NaN before all
        best.set(i, value);
        places.set(i, place);
      }
      begun = true;
    }
    const std::int64_t element = std::int64_t{index} * p.channels + channel;
    store(task.y, element, best);
    *reinterpret_cast<Places<T>*>(task.places + element) = places;
  }
}

template <typename T, unsigned size>
__global__ void __launch_bounds__(block_threads, backward_blocks)
    max_pool_gradient_kernel(Pooling p, MaxPoolBackward task) {
  const unsigned channel = first_channel<T>();
  if (channel >= p.channels) return;
  const unsigned pixels = p.images * p.height * p.width;
  for (unsigned index = blockIdx.x * blockDim.y + threadIdx.y; index < pixels; index += gridDim.x * blockDim.y) {
    const Pixel pixel(index, p.height, p.width);
    const unsigned row = pixel.row + p.padding;  // of the padded image, as windows count
    const unsigned column = pixel.column + p.padding;
    const auto first_window = [&](unsigned at) { return at < size ? 0 : (at - size) / p.stride + 1; };
    float sums[lanes<T>] = {};
    for (unsigned y = first_window(row); y <= min(row / p.stride, p.out_height - 1); ++y) {
      for (unsigned x = first_window(column); x <= min(column / p.stride, p.out_width - 1); ++x) {
        const std::int64_t element = pixel_at(pixel.image, y, x, p.out_height, p.out_width) * p.channels + channel;
        const Vector<T> dy = load<T>(task.dy, element);
        const Places<T> places = *reinterpret_cast<const Places<T>*>(task.places + element);
        const unsigned place = (row - y * p.stride) * size + column - x * p.stride;
#pragma unroll
        for (int i = 0; i < lanes<T>; ++i) sums[i] += places.get(i) == place ? dy.get(i) : 0;
      }
    }
    Vector<T> dx;
#pragma unroll
    for (int i = 0; i < lanes<T>; ++i) dx.set(i, sums[i]);
    store(task.dx, std::int64_t{index} * p.channels + channel, dx);
  }
}

template <typename T, unsigned size>
void launch(const Pooling& p, const MaxPoolForward& task, cudaStream_t stream) {
  const auto [blocks, threads] =
      grid_of({std::int64_t{p.images} * p.out_height * p.out_width, p.channels, p.element}, forward_blocks);
  max_pool_kernel<T, size><<<blocks, threads, 0, stream>>>(p, task);
}

template <typename T, unsigned size>
void launch(const Pooling& p, const MaxPoolBackward& task, cudaStream_t stream) {
  const auto [blocks, threads] =
      grid_of({std::int64_t{p.images} * p.height * p.width, p.channels, p.element}, backward_blocks);
  max_pool_gradient_kernel<T, size><<<blocks, threads, 0, stream>>>(p, task);
}

template <typename Task>
cudaError_t launch(const Pooling& p, const Task& task, cudaStream_t stream) {
  with_type_of(p.element, [&](auto zero) {
    using T = decltype(zero);
    return p.size == 2 ? launch<T, 2>(p, task, stream) : launch<T, 3>(p, task, stream);
  });
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_max_pool(const Pooling& p, const MaxPoolForward& task, cudaStream_t stream) {
  return launch(p, task, stream);
}

cudaError_t launch_max_pool(const Pooling& p, const MaxPoolBackward& task, cudaStream_t stream) {
  return launch(p, task, stream);
}

}  // namespace trainyard
