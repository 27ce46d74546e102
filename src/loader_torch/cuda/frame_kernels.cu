// Compiled with -fmad=false: weights are rounded as on the CPU.
#include <type_traits>

#include "loader_torch/cuda/frame_kernels.h"

namespace trainyard {
namespace {

// A block's warps handle different rows, and the lanes of a warp adjacent columns.
constexpr unsigned lanes = 32;
constexpr unsigned warps = 8;
constexpr unsigned blocks_per_image = 16;
constexpr unsigned all_warps = blocks_per_image * warps;
constexpr unsigned max_images = 65'535;  // the limit of gridDim.y
constexpr int weight_bits = 22;          // as in images/resample.h

__device__ double weight_at(double distance, bool bicubic) {
  const double x = fabs(distance);
  if (!bicubic) return fmax(1 - x, 0.0);
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// The inputs of one output and their weights: ResampleAxis in images/resample.cpp.
__device__ void find_weights(const ScaledAxis& axis, unsigned place, bool bicubic) {
  const double scale = static_cast<double>(axis.inputs) / axis.scaled;
  const double stretch = fmax(scale, 1.0);
  const double radius = scale == 1 ? 0.5 : (bicubic ? 2.0 : 1.0) * stretch;
  const double center = (axis.first + place + 0.5) * scale;
  const auto low = static_cast<unsigned>(fmax(center - radius + 0.5, 0.0));
  const auto high = min(static_cast<unsigned>(center + radius + 0.5), axis.inputs);
  const auto exact = [&](unsigned in) { return weight_at((in - center + 0.5) / stretch, bicubic); };
  double sum = 0;
  for (unsigned in = low; in < high; ++in) sum += exact(in);
  for (unsigned in = low; in < high; ++in) {
    const double weight = exact(in) / sum * (1 << weight_bits);
    axis.weights[place + (in - low) * axis.count] = static_cast<std::int32_t>(weight + (weight < 0 ? -0.5 : 0.5));
  }
  axis.windows[place] = {low, high - low};
}

__global__ void weights_kernel(const FrameTask* tasks) {
  const FrameTask& task = tasks[blockIdx.y];
  const unsigned outputs = task.rows.count + task.columns.count;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < outputs; i += gridDim.x * blockDim.x) {
    const bool is_row = i < task.rows.count;
    find_weights(is_row ? task.rows : task.columns, is_row ? i : i - task.rows.count, task.bicubic);
  }
}

// A pixel between the passes: its channels are bytes of an integer, so that it is read and written at once.
template <unsigned channels>
using Pixel = std::conditional_t<channels == 3, std::uint32_t, std::uint8_t>;

__device__ int channel(unsigned pixel, unsigned c) { return static_cast<int>(__byte_perm(pixel, 0, 0x4440 + c)); }

__device__ int clamped(int value) { return __vimin_s32_relu(value, 255); }

// libjpeg's integer conversion (jdcolor.c), with 16 fractional bits, of chroma from -128 to 127; with one channel, then
// Pillow's convert("L").
template <unsigned channels>
__device__ Pixel<channels> converted(int luma, int blue, int red) {
  constexpr int half = 1 << 15;
  const unsigned r = clamped(luma + ((91881 * red + half) >> 16));
  const unsigned g = clamped(luma + ((-22554 * blue - 46802 * red + half) >> 16));
  const unsigned b = clamped(luma + ((116130 * blue + half) >> 16));
  if (channels == 3) return r | g << 8 | b << 16;
  return (r * 19595 + g * 38470 + b * 7471 + half) >> 16;
}

// A row of chroma at full size: libjpeg's "fancy" upsampling (jdsample.c), in which a pixel is 3/4 of the nearest
// chroma pixel and 1/4 of the next one, in each direction of half the size.
struct ChromaRow {
  unsigned near, far;  // where the two rows of the plane begin
  unsigned last;       // column
  bool across;         // whether columns are mixed
  int added[2];        // to even and odd columns before the division by 16: rounds, and subtracts 128

  __device__ ChromaRow(const FrameTask& task, unsigned y) {
    const unsigned half_height = task.down == 2 ? 1 : 0;
    const unsigned half_width = task.across == 2 ? 1 : 0;
    const unsigned width = (task.width + half_width) >> half_width;
    const bool is_tiny = half_width && width <= 2;  // such planes are just repeated
    const bool down = half_height && !is_tiny;
    const bool is_odd = y % 2 == 1;
    const unsigned row = y >> half_height;
    const unsigned last_row = (task.height - 1) >> half_height;
    near = row * width;
    far = !down ? near : (is_odd ? min(row + 1, last_row) : max(row, 1U) - 1) * width;
    last = width - 1;
    across = half_width && !is_tiny;
    added[0] = ((across ? down : is_odd) ? 8 : 4) - 128 * 16;
    added[1] = (down ? 7 : 8) - 128 * 16;
  }

  struct Pair {
    int even, odd;
  };
  // The pixels to which a column of the plane is the nearest. `odd` is one only if the width is halved.
  __device__ Pair pixels(const std::uint8_t* plane, unsigned column) const {
    const std::uint8_t* const near_pixel = plane + (near + column);
    const std::uint8_t* const far_pixel = plane + (far + column);
    const int here = 3 * near_pixel[0] + far_pixel[0];
    const int before = 3 * near_pixel[-1] + far_pixel[-1];
    const int after = 3 * near_pixel[1] + far_pixel[1];
    return {(3 * here + (across && column > 0 ? before : here) + added[0]) >> 4,
            (3 * here + (across && column < last ? after : here) + added[1]) >> 4};
  }
};

// Writes the pixels of the region, upright.
template <unsigned channels>
__global__ void colours_kernel(const FrameTask* tasks) {
  const FrameTask task = tasks[blockIdx.y];
  auto* const region = static_cast<Pixel<channels>*>(task.region);
  const unsigned end = task.part_left + task.part_width;
  for (unsigned row = blockIdx.x * warps + threadIdx.y; row < task.part_height; row += all_warps) {
    const unsigned y = task.part_top + row;
    const ChromaRow chroma(task, y);
    const unsigned start = task.corner + row * task.step_down - task.part_left * task.step_right;
    for (unsigned column = task.part_left / task.across + threadIdx.x; column * task.across < end; column += lanes) {
      const unsigned x = column * task.across;
      const std::uint8_t* const luma = task.luma + (y * task.width + x);
      const int even = luma[0];
      const int odd = luma[1];
      ChromaRow::Pair blue{0, 0};
      ChromaRow::Pair red{0, 0};
      if (task.red != nullptr) {
        blue = chroma.pixels(task.blue, column);
        red = chroma.pixels(task.red, column);
      }
      const unsigned place = start + x * task.step_right;
      if (x >= task.part_left) region[place] = converted<channels>(even, blue.even, red.even);
      if (task.across == 2 && x + 1 < end) {
        region[place + task.step_right] = converted<channels>(odd, blue.odd, red.odd);
      }
    }
  }
}

// One pass. A thread computes several outputs that have the same weights.
template <unsigned channels, bool second, bool vertical>
__device__ void resample(const FrameTask& task) {
  constexpr unsigned several = 4;
  const ScaledAxis axis = vertical ? task.rows : task.columns;
  const auto* const source = static_cast<const Pixel<channels>*>(second ? task.between : task.region);
  auto* const between = static_cast<Pixel<channels>*>(task.between);
  const unsigned source_width = vertical && second ? task.columns.count : task.columns.inputs;
  const unsigned height = vertical || second ? task.rows.count : task.rows.inputs;
  const unsigned width = vertical ? source_width : task.columns.count;
  const unsigned step = vertical ? source_width : 1;  // from one input of an output to the next
  // From one of the several outputs to the next.
  constexpr unsigned down = vertical ? 0 : 1;
  constexpr unsigned right = vertical ? lanes : 0;
  constexpr unsigned rows_each = vertical ? 1 : several;
  constexpr unsigned columns_each = vertical ? several * lanes : lanes;
  for (unsigned y = (blockIdx.x * warps + threadIdx.y) * rows_each; y < height; y += all_warps * rows_each) {
    for (unsigned x = threadIdx.x; x < width; x += columns_each) {
      const unsigned place = vertical ? y : x;
      const ScaledAxis::Window window = axis.windows[place];
      unsigned in[several];
      int sums[several][channels];
      for (unsigned i = 0; i < several; ++i) {
        const unsigned row = vertical ? window.first : min(y + i * down, height - 1);
        const unsigned column = vertical ? min(x + i * right, width - 1) : window.first;
        in[i] = row * source_width + column;
        for (unsigned c = 0; c < channels; ++c) sums[i][c] = 1 << (weight_bits - 1);
      }
#pragma unroll 1  // windows are short
      for (unsigned k = 0; k < window.count; ++k) {
        const std::int32_t weight = __ldg(&axis.weights[place + k * axis.count]);
        unsigned pixels[several];  // __ldg: all are loaded before one is used
        for (unsigned i = 0; i < several; ++i) pixels[i] = __ldg(&source[in[i] + k * step]);
        for (unsigned i = 0; i < several; ++i) {
          for (unsigned c = 0; c < channels; ++c) sums[i][c] += weight * channel(pixels[i], c);
        }
      }
      for (unsigned i = 0; i < several; ++i) {
        const unsigned row = y + i * down;
        const unsigned column = x + i * right;
        if (row >= height || column >= width) break;
        const auto value = [&](unsigned c) { return clamped(sums[i][c] >> weight_bits); };
        if (second) {
          std::uint8_t* const out = task.out + row * task.row_step + column * task.pixel_step;
          for (unsigned c = 0; c < channels; ++c) out[c] = static_cast<std::uint8_t>(value(c));
        } else {
          unsigned pixel = 0;
          for (unsigned c = 0; c < channels; ++c) pixel |= value(c) << 8 * c;
          between[row * width + column] = static_cast<Pixel<channels>>(pixel);
        }
      }
    }
  }
}

template <unsigned channels, bool second>
__global__ void resample_kernel(const FrameTask* tasks) {
  const FrameTask task = tasks[blockIdx.y];
  if (second != task.rows_first) {
    resample<channels, second, true>(task);
  } else {
    resample<channels, second, false>(task);
  }
}

template <unsigned channels>
void launch(const FrameTask* tasks, unsigned count, cudaStream_t stream) {
  const dim3 grid(blocks_per_image, count);
  const dim3 block(lanes, warps);
  weights_kernel<<<dim3(2, count), lanes * warps, 0, stream>>>(tasks);
  colours_kernel<channels><<<grid, block, 0, stream>>>(tasks);
  resample_kernel<channels, false><<<grid, block, 0, stream>>>(tasks);
  resample_kernel<channels, true><<<grid, block, 0, stream>>>(tasks);
}

}  // namespace

cudaError_t launch_frames(const FrameTask* tasks, unsigned count, unsigned channels, cudaStream_t stream) {
  for (; count > 0; tasks += min(count, max_images), count -= min(count, max_images)) {
    (channels == 3 ? launch<3> : launch<1>)(tasks, min(count, max_images), stream);
  }
  return cudaGetLastError();
}

}  // namespace trainyard
