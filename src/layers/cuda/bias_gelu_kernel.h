/// The kernels behind bias_gelu(), apart from LibTorch's headers, which take nvcc minutes.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// y = gelu(product + bias), by the error function.
struct BiasGeluForward {
  const void* product;  ///< rows × channels
  const float* bias;    ///< channels
  void* y;              ///< rows × channels
};

/// The gradients of a BiasGeluForward.
struct BiasGeluBackward {
  const void* dy;       ///< rows × channels
  const void* product;  ///< rows × channels
  const float* bias;    ///< channels
  void* dproduct;       ///< rows × channels
  float* dbias;         ///< channels
  float* workspace;     ///< bias_gelu_workspace() numbers
};

/// How many floats the backward launch wants to work with, on the current device.
std::int64_t bias_gelu_workspace(const Activations& shape);

/// Start them on `stream` of the current device.
cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluForward& task, cudaStream_t stream);
cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluBackward& task, cudaStream_t stream);

}  // namespace trainyard
