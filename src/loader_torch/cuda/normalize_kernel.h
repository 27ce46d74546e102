/// Launches the kernel of normalize_images(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace trainyard {

/// The arguments of the kernel: pointers to GPU memory, each to a contiguous array.
template <typename Pixel>
struct NormalizeTask {
  const Pixel* images;          ///< height × width × channels each
  const std::int64_t* indices;  ///< one per sample of the result; null: all images, in order
  const bool* mirrored;         ///< one per sample of the result; null: none is mirrored
  const float* scale;           ///< one per channel; result = image · scale + shift
  const float* shift;
  float* result;  ///< samples × height × width × channels
  std::int64_t samples;
  std::uint32_t height, width, channels;  ///< their product is under 2^31
};

/// Asynchronous on `stream` of the current device; returns the error of the launch. Pixel is std::uint8_t or float.
template <typename Pixel>
cudaError_t launch_normalize(const NormalizeTask<Pixel>& task, cudaStream_t stream);

}  // namespace trainyard
