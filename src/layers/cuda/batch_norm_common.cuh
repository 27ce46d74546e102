/// Batch norm is memory-bound. Each direction is a reduction pass and an elementwise pass with a small kernel between
/// them: forward reads x twice and writes y; backward reads dy and x twice and writes dx. Without a residual the ReLU's
/// mask is recomputed from x; with one it is stored as bits, and the reduction pass writes the residual's gradient,
/// which the elementwise pass then reads. Max pooling of y (batch_norm_pool.cu) replaces the elementwise passes.
///
/// Reductions run from the last row to the first, so that the next pass begins with rows that are still in the L2
/// cache. The order of every sum depends on the shape and the GPU only.
///
/// This header is shared by batch_norm_forward.cu, batch_norm_backward.cu and batch_norm_pool.cu.
#pragma once

#include <type_traits>

#include "layers/cuda/batch_norm_kernel.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard::batch_norm {

/// Resident blocks per multiprocessor: more would leave too few registers.
constexpr unsigned forward_blocks = 4;
constexpr unsigned backward_blocks = 3;

/// The block of the kernels between the passes: tile_rows threads per channel.
constexpr unsigned tile_channels = 32;
constexpr unsigned tile_rows = 32;

enum class Epilogue { none, relu, add_relu };

/// Calls run(std::integral_constant<Epilogue, ...>()).
template <typename Run>
void dispatch_epilogue(bool relu, bool adds, const Run& run) {
  if (adds) return run(std::integral_constant<Epilogue, Epilogue::add_relu>());
  if (relu) return run(std::integral_constant<Epilogue, Epilogue::relu>());
  return run(std::integral_constant<Epilogue, Epilogue::none>());
}

/// The arguments of normalize(). Params is BatchNormForward or BatchNormBackward.
template <typename T>
struct Scaling {
  PerChannel<vector_size<T>> mean, scale;

  template <typename Params>
  __device__ Scaling(const Params& params, unsigned channel)
      : mean(params.mean + channel), scale(params.weight + channel) {
    for (int i = 0; i < vector_size<T>; ++i) scale.at[i] *= params.rstd[channel + i];
  }
};

/// Forward and backward compute the same bits, so that they agree on the ReLU's mask.
__device__ inline float normalize(float x, float mean, float scale, float bias) { return fmaf(x - mean, scale, bias); }

/// NaN stays NaN.
__device__ inline float relu(float value) { return value < 0 ? 0 : value; }

/// Rounded to T.
template <typename T>
__device__ float rounded(float value) {
  return static_cast<float>(static_cast<T>(value));
}

/// 1 if the ReLU passes the gradient of its output y, otherwise 0; NaN passes.
__device__ inline unsigned relu_passes(float y) { return y <= 0 ? 0 : 1; }

/// What is subtracted from the gradient: its mean, and its projection on x - mean.
struct Correction {
  float* mean;
  float* slope;

  Correction(float* workspace, unsigned C, unsigned blocks)
      : mean(workspace + std::int64_t{2} * blocks * C), slope(mean + C) {}
};

/// The correction after launch_batch_norm_sums() with this shape; launches the kernel that computes it if that is still
/// to be done.
Correction correction_of(const Activations& shape, const BatchNormBackward& params, cudaStream_t stream);

/// The gradient of x for a thread's vector of channels.
template <typename T>
struct InputGradient {
  Scaling<T> scaling;
  PerChannel<vector_size<T>> mean_gradient, slope;

  __device__ InputGradient(const BatchNormBackward& params, const Correction& correction, unsigned channel)
      : scaling(params, channel), mean_gradient(correction.mean + channel), slope(correction.slope + channel) {}

  /// dy: the gradient of the normalized x.
  __device__ float of(float dy, float x, int i) const {
    return fmaf(scaling.scale.at[i], dy - mean_gradient.at[i], (scaling.mean.at[i] - x) * slope.at[i]);
  }
};

}  // namespace trainyard::batch_norm
