/// The kernels behind max_pool(), apart from LibTorch's headers, which take nvcc minutes.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// Square windows over images × height × width × channels.
struct Pooling {
  std::uint32_t images, height, width;  ///< their product is under 2^31
  std::uint32_t out_height, out_width;  ///< windows beside each other; the product with images is under 2^31
  std::uint32_t size, stride, padding;  ///< size is 2 or 3, padding under it
  std::uint32_t channels;               ///< a multiple of the elements in 16 bytes
  Element element;
};

/// Activations begin at a multiple of 16 bytes. `places`: for each number of y, where in its window it stood, counted
/// row by row.
struct MaxPoolForward {
  const void* x;         ///< images × height × width × channels
  void* y;               ///< images × out_height × out_width × channels
  std::uint8_t* places;  ///< as y
};

/// The gradient of a MaxPoolForward.
struct MaxPoolBackward {
  const void* dy;              ///< images × out_height × out_width × channels
  const std::uint8_t* places;  ///< as dy
  void* dx;                    ///< images × height × width × channels
};

/// Start them on `stream` of the current device.
cudaError_t launch_max_pool(const Pooling& pooling, const MaxPoolForward& task, cudaStream_t stream);
cudaError_t launch_max_pool(const Pooling& pooling, const MaxPoolBackward& task, cudaStream_t stream);

}  // namespace trainyard
