// The elementwise passes of a batch norm with ReLU and max pooling over windows of 3 × 3 with stride 2 and padding 1.
// Window (i, j) covers rows 2i - 1 to 2i + 1 and columns 2j - 1 to 2j + 1 of the pixels. Pixel (2i, 2j), which always
// exists, is the middle of window (i, j) and in no other one.

#include "layers/cuda/batch_norm_input_gradient.cuh"
#include "layers/cuda/batch_norm_normalization.cuh"
#include "layers/cuda/max_pool_common.cuh"

namespace trainyard {
namespace batch_norm {
namespace {

constexpr unsigned pool_forward_blocks = 2;  // resident per multiprocessor: more would leave too few registers
constexpr unsigned pool_backward_blocks = 2;
constexpr unsigned strip_windows = 8;

// The maximum of some normalized values, the x that it comes from, and its index.
struct Maximum {
  float value, x;
  unsigned tap;

  __device__ void add(const Maximum& other, unsigned offset) {
    const bool wins = replaces(other.value, value);
    value = wins ? other.value : value;
    x = wins ? other.x : x;
    tap = wins ? other.tap + offset : tap;
  }
};

// One row of a window. For pixels outside of the image it has the middle of the window instead.
template <typename T>
struct WindowRow {
  Vector<T> pixels[3];
  bool within[3];

  __device__ WindowRow(const Pooling& p, const void* x, const Pixel& window, unsigned row, unsigned channel) {
#pragma unroll
    for (unsigned k = 0; k < 3; ++k) {
      const unsigned column = 2 * window.column + k - 1;
      within[k] = row < p.height && column < p.width;  // -1 is 2^32 - 1
      const std::int64_t at = pixel_at(window.image, within[k] ? row : 2 * window.row,
                                       within[k] ? column : 2 * window.column, p.height, p.width);
      pixels[k] = load<T>(x, at * p.C + channel);
    }
  }
};

// The maximum of a row's normalized pixels. The ReLU is left to the window's maximum: below zero, it makes no
// difference which of the pixels that is.
template <typename T>
__device__ Maximum maximum_of(const WindowRow<T>& row, const Normalization<T>& normalization, int i) {
  const auto pixel = [&](unsigned k) -> Maximum {
    const float x = row.pixels[k].get(i);
    return {row.within[k] ? rounded<T>(normalization.of(x, i)) : -INFINITY, x, k};
  };
  Maximum result = pixel(0);
  result.add(pixel(1), 0);
  result.add(pixel(2), 0);
  return result;
}

// A thread computes one vector of channels for a strip of windows, each below the other: the last row of pixels of a
// window is the first one of the next, so each row is read and normalized once.
template <typename T>
__global__ void __launch_bounds__(block_threads, pool_forward_blocks)
    normalize_pool_kernel(Pooling p, BatchNormForward params, RowPartition partition, unsigned strips_of_image) {
  const unsigned channel = first_channel<T>();
  const Normalization<T> normalization = normalization_of_block<T>(params, p.C, partition);
  if (channel >= p.C) return;
  const unsigned strips = p.images * strips_of_image * p.out_width;
  for (unsigned index = blockIdx.x * blockDim.y + threadIdx.y; index < strips; index += gridDim.x * blockDim.y) {
    // First the pixels that the cache may still have, as in normalize_kernel.
    Pixel window(params.sums != nullptr ? strips - 1 - index : index, strips_of_image, p.out_width);
    window.row *= strip_windows;
    const unsigned end = min(window.row + strip_windows, p.out_height);
    Maximum last[vector_size<T>];
    const WindowRow<T> above(p, params.x, window, 2 * window.row - 1, channel);
#pragma unroll
    for (int i = 0; i < vector_size<T>; ++i) last[i] = maximum_of(above, normalization, i);
    for (; window.row < end; ++window.row) {
      const WindowRow<T> middle(p, params.x, window, 2 * window.row, channel);
      const WindowRow<T> below(p, params.x, window, 2 * window.row + 1, channel);
      Vector<T> y, maxima;
      ArgMax<T> argmax;
      unsigned relu_mask = 0;
#pragma unroll
      for (int i = 0; i < vector_size<T>; ++i) {
        Maximum maximum = last[i];
        maximum.add(maximum_of(middle, normalization, i), 3);
        last[i] = maximum_of(below, normalization, i);
        maximum.add(last[i], 6);
        y.set(i, relu(maximum.value));
        maxima.set(i, maximum.x);
        argmax.set(i, maximum.tap);
        relu_mask |= relu_passes(maximum.value) << i;
      }
      const std::int64_t element =
          pixel_at(window.image, window.row, window.column, p.out_height, p.out_width) * p.C + channel;
      store(params.y, element, y);
      store(params.maxima, element, maxima);
      store(params.argmax, element, argmax);
      params.relu_mask[element / vector_size<T>] = static_cast<std::uint8_t>(relu_mask);
    }
  }
}

// A thread computes one vector of channels of the pixels (2i, 2j) to (2i + 1, 2j + 1). They are in the windows (i, j)
// to (i + 1, j + 1) only.
template <typename T>
__global__ void __launch_bounds__(block_threads, pool_backward_blocks)
    pool_input_gradient_kernel(Pooling p, BatchNormBackward params, unsigned windows, unsigned partials) {
  const unsigned channel = first_channel<T>();
  const InputGradient<T> input_gradient = input_gradient_of_block<T>(params, p.C, partials);
  if (channel >= p.C) return;
  for (unsigned index = blockIdx.x * blockDim.y + threadIdx.y; index < windows; index += gridDim.x * blockDim.y) {
    const Pixel window(index, p.out_height, p.out_width);
    Vector<T> dy[2][2] = {};
    ArgMax<T> argmax[2][2] = {};
    Vector<T> x[2][2];
    std::int64_t pixels[2][2];
    bool within[2][2];
#pragma unroll
    for (unsigned a = 0; a < 2; ++a) {
#pragma unroll
      for (unsigned b = 0; b < 2; ++b) {
        if (window.row + a < p.out_height && window.column + b < p.out_width) {
          const std::int64_t element =
              pixel_at(window.image, window.row + a, window.column + b, p.out_height, p.out_width) * p.C + channel;
          dy[a][b] = load<T>(params.masked_dy, element);
          argmax[a][b] = load_argmax<T>(params.argmax, element);
        }
        const unsigned row = 2 * window.row + a;
        const unsigned column = 2 * window.column + b;
        within[a][b] = row < p.height && column < p.width;
        pixels[a][b] = pixel_at(window.image, row, column, p.height, p.width) * p.C + channel;
        if (within[a][b]) x[a][b] = load<T>(params.x, pixels[a][b]);
      }
    }
#pragma unroll
    for (unsigned a = 0; a < 2; ++a) {
#pragma unroll
      for (unsigned b = 0; b < 2; ++b) {
        if (!within[a][b]) continue;
        Vector<T> dx;
#pragma unroll
        for (int i = 0; i < vector_size<T>; ++i) {
          float sum = 0;
#pragma unroll
          for (unsigned u = 0; u <= a; ++u) {
#pragma unroll
            for (unsigned v = 0; v <= b; ++v) {
              const unsigned tap = (1 + a - 2 * u) * 3 + 1 + b - 2 * v;
              sum += argmax[u][v].get(i) == tap ? dy[u][v].get(i) : 0;
            }
          }
          dx.set(i, input_gradient.of(sum, x[a][b].get(i), i));
        }
        store(params.dx, pixels[a][b], dx);
      }
    }
  }
}

}  // namespace
}  // namespace batch_norm

cudaError_t launch_batch_norm_pool(const Pooling& p, const BatchNormForward& params, cudaStream_t stream) {
  const Activations shape{std::int64_t{p.images} * p.height * p.width, p.C, p.element};
  const batch_norm::RowPartition partition = batch_norm::sum_rows(shape, params, stream);
  const unsigned strips_of_image = ceil_divide(p.out_height, batch_norm::strip_windows);
  const std::int64_t strips = std::int64_t{p.images} * strips_of_image * p.out_width;
  const auto [blocks, threads] =
      grid_for({strips, p.C, p.element}, batch_norm::pool_forward_blocks, batch_norm::most_vectors(shape));
  dispatch_element(p.element, [&](auto zero) {
    batch_norm::normalize_pool_kernel<decltype(zero)>
        <<<blocks, threads, 0, stream>>>(p, params, partition, strips_of_image);
  });
  return cudaGetLastError();
}

cudaError_t launch_batch_norm_pool(const Pooling& p, const BatchNormBackward& params, cudaStream_t stream) {
  const Activations pooled{std::int64_t{p.images} * p.out_height * p.out_width, p.C, p.element};
  const unsigned partials = batch_norm::partial_sums(pooled, params);
  const auto [blocks, threads] = grid_for(pooled, batch_norm::pool_backward_blocks);
  dispatch_element(p.element, [&](auto zero) {
    batch_norm::pool_input_gradient_kernel<decltype(zero)>
        <<<blocks, threads, 0, stream>>>(p, params, static_cast<unsigned>(pooled.rows), partials);
  });
  return cudaGetLastError();
}

}  // namespace trainyard
