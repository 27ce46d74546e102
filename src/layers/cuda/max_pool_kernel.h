/// Launches the kernels of fused_max_pool(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// Square windows over images × height × width × C.
struct Pooling {
  std::uint32_t images, height, width;  ///< their product is under 2^31
  std::uint32_t out_height, out_width;  ///< number of windows; the product with images is under 2^31
  std::uint32_t size, stride, padding;  ///< size is 2 or 3; padding < size
  std::uint32_t C;                      ///< a multiple of the elements per 16 bytes
  Element element;
};

/// Activations are aligned to 16 bytes. `argmax`: for each element of y the index of its maximum in the window, row by
/// row.
struct MaxPoolForward {
  const void* x;         ///< images × height × width × C
  void* y;               ///< images × out_height × out_width × C
  std::uint8_t* argmax;  ///< shape of y
};

/// The gradient of a MaxPoolForward.
struct MaxPoolBackward {
  const void* dy;              ///< images × out_height × out_width × C
  const std::uint8_t* argmax;  ///< shape of dy
  void* dx;                    ///< images × height × width × C
};

/// Asynchronous on `stream` of the current device; return the error of the launch.
cudaError_t launch_max_pool(const Pooling& pooling, const MaxPoolForward& params, cudaStream_t stream);
cudaError_t launch_max_pool(const Pooling& pooling, const MaxPoolBackward& params, cudaStream_t stream);

}  // namespace trainyard
