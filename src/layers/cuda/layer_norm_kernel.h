/// Launches the kernels of fused_layer_norm(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

constexpr std::uint32_t layer_norm_max_channels = 1024;  ///< a warp keeps a row in registers

/// A row-major matrix of rows × C in GPU memory. All arrays below of C elements or more are aligned to 16 bytes.
struct Tokens {
  std::int64_t rows;
  std::uint32_t C;  ///< a multiple of 4, at most layer_norm_max_channels
  Element element;  ///< type of branch and y; sums are float32
};

/// sum = x + (branch + branch_bias); y = normalized sum.
struct LayerNormForward {
  const float* x;            ///< rows × C
  const void* branch;        ///< rows × C; null: none, and no branch_bias and no sum
  const float* branch_bias;  ///< C; null: none
  const float* weight;       ///< C
  const float* bias;         ///< C
  float eps;
  float* sum;   ///< rows × C
  void* y;      ///< rows × C
  float* mean;  ///< written: rows
  float* rstd;  ///< written: rows; 1 / sqrt(variance + eps), biased variance (n)
};

/// The gradients of a LayerNormForward.
struct LayerNormBackward {
  const void* dy;     ///< rows × C
  const float* dsum;  ///< rows × C, gradient of other uses of the sum; null: none
  const float* sum;   ///< rows × C
  const float* weight;
  const float* mean;
  const float* rstd;
  float* dx;           ///< rows × C; null: not needed
  void* dbranch;       ///< rows × C, dx in the branch's type; null: not needed
  float* dparameters;  ///< C of dweight, C of dbias and, if `sums_branch`, C of dbranch_bias
  bool sums_branch;
  float* workspace;  ///< layer_norm_workspace() floats
};

/// The size of the backward `workspace` in floats on the current device.
std::int64_t layer_norm_workspace(const Tokens& tokens);

/// Asynchronous on `stream` of the current device; return the error of the launch.
cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormForward& params, cudaStream_t stream);
cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormBackward& params, cudaStream_t stream);

}  // namespace trainyard
