/// Launches the kernel of normalize_images(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

namespace trainyard {

/// The arguments of the kernel: pointers to GPU memory, each to a contiguous array.
template <typename Pixel, typename Result>
struct NormalizeTask {
  const Pixel* images;          ///< height × width × channels each
  const std::int64_t* indices;  ///< one per sample of the result; null: all images, in order
  const bool* mirrored;         ///< one per sample of the result; null: none is mirrored
  const float* scale;           ///< one per channel; result = image · scale + shift, in float32, then rounded
  const float* shift;
  Result* result;  ///< samples × height × width × channels
  std::int64_t samples;
  std::uint32_t height, width, channels;  ///< their product is under 2^31
};

/// Asynchronous on `stream` of the current device; returns the error of the launch. Pixel is std::uint8_t or float,
/// Result float, __half or __nv_bfloat16.
template <typename Pixel, typename Result>
cudaError_t launch_normalize(const NormalizeTask<Pixel, Result>& task, cudaStream_t stream);

}  // namespace trainyard
