/// The kernels behind fused_batch_norm(), apart from LibTorch's headers, which take nvcc minutes.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// y = normalised x, with `relu` its positive part; before that the residual is added, if there is one. One number a
/// channel unless said otherwise.
struct BatchNormForward {
  const void* x;         ///< rows × channels; at least two rows
  const void* residual;  ///< rows × channels; null: none. It needs `relu`
  void* y;               ///< rows × channels
  std::uint8_t*
      passed;  ///< written where there is a residual: a byte for 16 bytes of y, a bit for each that ReLU let by
  bool relu;
  const float* weight;
  const float* bias;
  float eps;
  float momentum;            ///< the share of this batch in the running statistics
  float* running_mean;       ///< read and written
  float* running_variance;   ///< read and written; of n - 1
  std::int64_t* batches;     ///< one number, which grows by 1
  float* mean;               ///< written
  float* inverse_deviation;  ///< written: 1 / sqrt(variance of n + eps)
  float* workspace;          ///< batch_norm_workspace() numbers
};

/// The gradients of a BatchNormForward.
struct BatchNormBackward {
  const void* dy;              ///< rows × channels
  const void* more_dy;         ///< rows × channels, is added to dy; null: none. Only where there is a residual
  const void* x;               ///< rows × channels
  const std::uint8_t* passed;  ///< as BatchNormForward wrote it
  bool relu;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* inverse_deviation;
  void* dx;         ///< rows × channels; null: not asked for
  void* dresidual;  ///< rows × channels; null: there is no residual
  float* dweight;
  float* dbias;
  float* workspace;  ///< batch_norm_workspace() numbers
};

/// How many floats the launches below want to work with, on the current device.
std::int64_t batch_norm_workspace(const Activations& shape);

/// Start them on `stream` of the current device.
cudaError_t launch_batch_norm(const Activations& shape, const BatchNormForward& task, cudaStream_t stream);
cudaError_t launch_batch_norm(const Activations& shape, const BatchNormBackward& task, cudaStream_t stream);

}  // namespace trainyard
