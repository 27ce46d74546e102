// Compiled with -fmad=false: weights are rounded as on the CPU.
#include "loader_torch/cuda/frame_kernels.h"

namespace trainyard {
namespace {

constexpr unsigned threads = 256;
constexpr unsigned blocks_per_image = 32;
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
  std::int32_t* const weights = axis.weights + static_cast<std::size_t>(place) * axis.most;
  const auto exact = [&](unsigned in) { return weight_at((in - center + 0.5) / stretch, bicubic); };
  double sum = 0;
  for (unsigned in = low; in < high; ++in) sum += exact(in);
  for (unsigned in = low; in < high; ++in) {
    const double weight = exact(in) / sum;
    weights[in - low] = static_cast<std::int32_t>(weight * (1 << weight_bits) + (weight < 0 ? -0.5 : 0.5));
  }
  axis.windows[place] = {low, high - low};
}

__global__ void weights_kernel(const FrameTask* tasks) {
  const FrameTask& task = tasks[blockIdx.y];
  const unsigned outputs = task.rows.count + task.columns.count;
  for (unsigned i = blockIdx.x * threads + threadIdx.x; i < outputs; i += gridDim.x * threads) {
    const bool is_row = i < task.rows.count;
    find_weights(is_row ? task.rows : task.columns, is_row ? i : i - task.rows.count, task.bicubic);
  }
}

// A chroma plane of a JPEG at full size: libjpeg's "fancy" upsampling (jdsample.c).
struct Chroma {
  const std::uint8_t* plane;
  std::uint32_t height, width;
  bool down, across;  // whether it has half the height, half the width

  __device__ int at(unsigned y, unsigned x) const {
    const unsigned row = down ? y / 2 : y;
    const unsigned column = across ? x / 2 : x;
    const std::uint8_t* const near = plane + static_cast<std::size_t>(row) * width;
    if (!down && !across) return near[column];
    if (across && width <= 2) return near[column];
    // The pixel lies a quarter of a chroma pixel from the nearest one towards another one.
    const unsigned other_row = !down ? row : y % 2 == 0 ? (row == 0 ? 0 : row - 1) : min(row + 1, height - 1);
    const std::uint8_t* const far = plane + static_cast<std::size_t>(other_row) * width;
    const auto sum = [&](unsigned i) { return down ? 3 * near[i] + far[i] : static_cast<int>(near[i]); };
    if (!across) return (sum(column) + (y % 2 == 0 ? 1 : 2)) >> 2;
    const bool to_left = x % 2 == 0;
    const bool at_edge = to_left ? column == 0 : column + 1 == width;
    const int bits = down ? 4 : 2;
    const int rounding = down ? (to_left ? 8 : 7) : (to_left ? 1 : 2);
    if (at_edge) return down ? (4 * sum(column) + rounding) >> bits : near[column];
    return (3 * sum(column) + sum(to_left ? column - 1 : column + 1) + rounding) >> bits;
  }
};

__device__ std::uint8_t clamped(int value) { return static_cast<std::uint8_t>(min(max(value, 0), 255)); }

struct Rgb {
  std::uint8_t red, green, blue;
};

// libjpeg's integer conversion (jdcolor.c), with 16 fractional bits.
__device__ Rgb to_rgb(int luma, int blue, int red) {
  blue -= 128;
  red -= 128;
  constexpr int half = 1 << 15;
  return {clamped(luma + ((91881 * red + half) >> 16)), clamped(luma + ((-22554 * blue - 46802 * red + half) >> 16)),
          clamped(luma + ((116130 * blue + half) >> 16))};
}

// Writes the pixels of the region, upright.
template <unsigned channels>
__global__ void colours_kernel(const FrameTask* tasks) {
  const FrameTask& task = tasks[blockIdx.y];
  const unsigned width = task.columns.inputs;
  const unsigned pixels = task.rows.inputs * width;
  const std::uint32_t chroma_height = (task.height + task.down - 1) / task.down;
  const std::uint32_t chroma_width = (task.width + task.across - 1) / task.across;
  for (unsigned i = blockIdx.x * threads + threadIdx.x; i < pixels; i += gridDim.x * threads) {
    unsigned y = task.top + i / width;
    unsigned x = task.left + i % width;
    if (task.transpose) {
      const unsigned swapped = y;
      y = x;
      x = swapped;
    }
    if (task.mirror_rows) y = task.height - 1 - y;
    if (task.mirror_columns) x = task.width - 1 - x;
    const int luma = task.luma[static_cast<std::size_t>(y) * task.width + x];
    std::uint8_t* const out = task.region + static_cast<std::size_t>(i) * channels;
    if (task.red == nullptr) {
      for (unsigned c = 0; c < channels; ++c) out[c] = static_cast<std::uint8_t>(luma);
      continue;
    }
    Chroma chroma{task.blue, chroma_height, chroma_width, task.down == 2, task.across == 2};
    const int blue = chroma.at(y, x);
    chroma.plane = task.red;
    const Rgb rgb = to_rgb(luma, blue, chroma.at(y, x));
    if (channels == 3) {
      out[0] = rgb.red;
      out[1] = rgb.green;
      out[2] = rgb.blue;
    } else {  // Pillow's convert("L")
      out[0] = static_cast<std::uint8_t>((rgb.red * 19595U + rgb.green * 38470U + rgb.blue * 7471U + 0x8000U) >> 16);
    }
  }
}

template <unsigned channels>
__global__ void resample_kernel(const FrameTask* tasks, bool second) {
  const FrameTask& task = tasks[blockIdx.y];
  const bool vertical = second != task.rows_first;
  const std::uint8_t* const source = second ? task.between : task.region;
  const unsigned source_width = second && !task.rows_first ? task.columns.count : task.columns.inputs;
  const unsigned height = second || task.rows_first ? task.rows.count : task.rows.inputs;
  const unsigned width = second || !task.rows_first ? task.columns.count : task.columns.inputs;
  const ScaledAxis& axis = vertical ? task.rows : task.columns;
  const std::size_t step = (vertical ? source_width : 1) * channels;
  for (unsigned i = blockIdx.x * threads + threadIdx.x; i < height * width; i += gridDim.x * threads) {
    const unsigned y = i / width;
    const unsigned x = i % width;
    const unsigned place = vertical ? y : x;
    const ScaledAxis::Window window = axis.windows[place];
    const std::int32_t* const weights = axis.weights + static_cast<std::size_t>(place) * axis.most;
    const std::size_t first_row = vertical ? window.first : y;
    const std::uint8_t* in = source + (first_row * source_width + (vertical ? x : window.first)) * channels;
    int sums[channels];
    for (unsigned c = 0; c < channels; ++c) sums[c] = 1 << (weight_bits - 1);
    for (unsigned k = 0; k < window.count; ++k, in += step) {
      for (unsigned c = 0; c < channels; ++c) sums[c] += weights[k] * in[c];
    }
    std::uint8_t* const out = second ? task.out + y * task.row_step + static_cast<std::int64_t>(x) * task.pixel_step
                                     : task.between + static_cast<std::size_t>(i) * channels;
    for (unsigned c = 0; c < channels; ++c) out[c] = clamped(sums[c] >> weight_bits);
  }
}

template <unsigned channels>
void launch(const FrameTask* tasks, unsigned count, cudaStream_t stream) {
  const dim3 grid(blocks_per_image, count);
  weights_kernel<<<dim3(2, count), threads, 0, stream>>>(tasks);
  colours_kernel<channels><<<grid, threads, 0, stream>>>(tasks);
  resample_kernel<channels><<<grid, threads, 0, stream>>>(tasks, false);
  resample_kernel<channels><<<grid, threads, 0, stream>>>(tasks, true);
}

}  // namespace

cudaError_t launch_frames(const FrameTask* tasks, unsigned count, unsigned channels, cudaStream_t stream) {
  for (; count > 0; tasks += min(count, max_images), count -= min(count, max_images)) {
    (channels == 3 ? launch<3> : launch<1>)(tasks, min(count, max_images), stream);
  }
  return cudaGetLastError();
}

}  // namespace trainyard
