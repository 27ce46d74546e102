/// The kernel behind normalize_images(), apart from LibTorch's headers, which take nvcc minutes.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace trainyard {

/// Pointers into the GPU's memory; the images' are contiguous.
template <typename Pixel>
struct NormalizeTask {
  const Pixel* images;          ///< height × width × channels each
  const std::int64_t* indices;  ///< one a sample of the result; null: all images, in order
  const bool* mirrored;         ///< one a sample of the result; null: none is
  const float* scale;           ///< one a channel
  const float* shift;
  float* result;  ///< samples × height × width × channels
  std::int64_t samples;
  std::uint32_t height, width, channels;  ///< their product is under 2^31
};

/// Starts it on `stream` of the current device. Pixel is std::uint8_t or float.
template <typename Pixel>
cudaError_t launch_normalize(const NormalizeTask<Pixel>& task, cudaStream_t stream);

}  // namespace trainyard
