/// Launches the kernels of fused_batch_norm(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"
#include "layers/cuda/max_pool_kernel.h"

namespace trainyard {

// A batch over several processes: each writes the sums of its rows, the sums are added up over the processes, and the
// next calls normalize with them.
//
// With max pooling of y, over windows of 3 × 3 with stride 2 and padding 1, y itself is never written. Only the maxima
// of the windows have a gradient, so the sums of backward are sums over the windows.

/// The sums of forward.
struct BatchNormMoments {
  const void* x;     ///< rows × C
  double* moments;   ///< written: C sums of x, C sums of x * x, the number of rows
  float* workspace;  ///< batch_norm_workspace() floats
};

/// y = normalized x, plus the residual if there is one, then ReLU if `relu`; with max pooling always a ReLU and no
/// residual. Arrays have C elements unless noted.
struct BatchNormForward {
  const void* x;            ///< rows × C; at least two rows
  const double* moments;    ///< of the whole batch; null: it is x
  const float* sums;        ///< C sums of x, C sums of x * x; null: computed here. Not with `moments`
  const void* residual;     ///< rows × C; null: none. REQUIRES `relu` if set
  void* y;                  ///< rows × C; with max pooling windows × C
  void* maxima;             ///< written with max pooling: the x that each y comes from
  std::uint8_t* argmax;     ///< written with max pooling: as by MaxPoolForward
  std::uint8_t* relu_mask;  ///< written with a residual or max pooling: one byte per 16 bytes of y, bit i set if
                            ///< element i passed the ReLU
  bool relu;
  const float* weight;
  const float* bias;
  float eps;
  float momentum;           ///< weight of this batch in the running statistics
  float* running_mean;      ///< read and written
  float* running_variance;  ///< read and written; unbiased (n - 1)
  std::int64_t* batches;    ///< one element, incremented by 1
  float* mean;              ///< written
  float* rstd;              ///< written: 1 / sqrt(variance + eps), biased variance (n)
  float* workspace;         ///< batch_norm_workspace() floats
};

/// The gradients of a BatchNormForward. launch_batch_norm_sums() writes masked_dy and, for a batch over several
/// processes, `sums`; then one of the others writes dx. One of the two calls writes dweight and dbias: the first if dx
/// is not needed. With max pooling, the rows of the sums are the windows, and their x is BatchNormForward::maxima.
struct BatchNormBackward {
  const void* dy;                 ///< rows × C
  const void* dy_extra;           ///< rows × C, added to dy; null: none. Only with masked_dy
  const void* x;                  ///< rows × C
  const std::uint8_t* relu_mask;  ///< as written by BatchNormForward
  const std::uint8_t* argmax;     ///< as written by BatchNormForward
  bool relu;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* rstd;
  void* dx;            ///< rows × C; null: not needed. The same in both calls
  void* masked_dy;     ///< rows × C, the gradient of the ReLU's input; null: the ReLU's mask is not stored
  float* dweight;      ///< of these rows
  float* dbias;        ///< of these rows
  std::int64_t batch;  ///< the number of rows of BatchNormForward::x; not used with `sums`
  double* sums;        ///< C sums of the gradient of the normalized x, C sums of its product with x - mean
  const double* rows;  ///< with `sums`: one element, the number of rows of the whole batch
  float* workspace;    ///< batch_norm_workspace() floats
};

/// The size of `workspace` in floats on the current device, for both directions.
std::int64_t batch_norm_workspace(const Activations& shape);

// Asynchronous on `stream` of the current device; return the error of the launch.

cudaError_t launch_batch_norm_moments(const Activations& shape, const BatchNormMoments& params, cudaStream_t stream);

cudaError_t launch_batch_norm(const Activations& shape, const BatchNormForward& params, cudaStream_t stream);
cudaError_t launch_batch_norm_pool(const Pooling& pooling, const BatchNormForward& params, cudaStream_t stream);

cudaError_t launch_batch_norm_sums(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream);
cudaError_t launch_batch_norm_dx(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream);
cudaError_t launch_batch_norm_pool(const Pooling& pooling, const BatchNormBackward& params, cudaStream_t stream);

}  // namespace trainyard
