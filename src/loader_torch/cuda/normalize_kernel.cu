#include "loader_torch/cuda/normalize_kernel.h"

namespace trainyard {
namespace {

constexpr unsigned threads = 256;
constexpr unsigned elements_per_thread = 4;  // approximately

// blockIdx.x selects the sample, blockIdx.y a part of it. A nonzero `fixed_channels` avoids a division.
template <unsigned fixed_channels, typename Pixel, typename Result>
__global__ void normalize_kernel(NormalizeTask<Pixel, Result> task) {
  const unsigned channels = fixed_channels > 0 ? fixed_channels : task.channels;
  const unsigned row = task.width * channels;
  const unsigned elements = task.height * row;
  const std::int64_t sample = blockIdx.x;
  const std::int64_t source = task.indices != nullptr ? task.indices[sample] : sample;
  const bool mirror = task.mirrored != nullptr && task.mirrored[sample];
  const Pixel* const image = task.images + source * elements;
  Result* const result = task.result + sample * elements;

  for (unsigned to = blockIdx.y * threads + threadIdx.x; to < elements; to += gridDim.y * threads) {
    const unsigned channel = to % channels;
    unsigned from = to;
    if (mirror) {
      const unsigned left = to % row - channel;  // elements of the row before this pixel
      from += row - channels - 2 * left;         // modulo 2^32: the difference may be negative
    }
    result[to] =
        static_cast<Result>(__fmaf_rn(static_cast<float>(image[from]), task.scale[channel], task.shift[channel]));
  }
}

}  // namespace

template <typename Pixel, typename Result>
cudaError_t launch_normalize(const NormalizeTask<Pixel, Result>& task, cudaStream_t stream) {
  const unsigned elements = task.height * task.width * task.channels;
  if (task.samples == 0 || elements == 0) return cudaSuccess;
  constexpr unsigned max_parts = 65'535;  // the limit of gridDim.y
  const unsigned parts = (elements - 1) / (threads * elements_per_thread) + 1;
  const dim3 grid(static_cast<unsigned>(task.samples), parts < max_parts ? parts : max_parts);
  if (task.channels == 1) {
    normalize_kernel<1><<<grid, threads, 0, stream>>>(task);
  } else if (task.channels == 3) {
    normalize_kernel<3><<<grid, threads, 0, stream>>>(task);
  } else {
    normalize_kernel<0><<<grid, threads, 0, stream>>>(task);
  }
  return cudaGetLastError();
}

template cudaError_t launch_normalize(const NormalizeTask<std::uint8_t, float>&, cudaStream_t);
template cudaError_t launch_normalize(const NormalizeTask<std::uint8_t, __half>&, cudaStream_t);
template cudaError_t launch_normalize(const NormalizeTask<std::uint8_t, __nv_bfloat16>&, cudaStream_t);
template cudaError_t launch_normalize(const NormalizeTask<float, float>&, cudaStream_t);
template cudaError_t launch_normalize(const NormalizeTask<float, __half>&, cudaStream_t);
template cudaError_t launch_normalize(const NormalizeTask<float, __nv_bfloat16>&, cudaStream_t);

}  // namespace trainyard
