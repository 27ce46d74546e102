/// Launches the kernels of fused_bias_gelu(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// y = gelu(product + bias)
struct BiasGeluForward {
  const void* product;  ///< rows × C
  const float* bias;    ///< C
  bool tanh;            ///< GPT-2's approximation instead of the exact form (erf)
  void* y;              ///< rows × C
};

/// The gradients of a BiasGeluForward.
struct BiasGeluBackward {
  const void* dy;       ///< rows × C
  const void* product;  ///< rows × C
  const float* bias;    ///< C
  bool tanh;
  void* dproduct;    ///< rows × C
  float* dbias;      ///< C
  float* workspace;  ///< bias_gelu_workspace() floats
};

/// The size of the backward `workspace` in floats on the current device.
std::int64_t bias_gelu_workspace(const Activations& shape);

/// Asynchronous on `stream` of the current device; return the error of the launch.
cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluForward& params, cudaStream_t stream);
cudaError_t launch_bias_gelu(const Activations& shape, const BiasGeluBackward& params, cudaStream_t stream);

}  // namespace trainyard
