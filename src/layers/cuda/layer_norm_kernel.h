/// The kernels behind fused_layer_norm(), apart from LibTorch's headers, which take nvcc minutes.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

constexpr std::uint32_t layer_norm_widest = 1024;  ///< what a warp holds in its registers

/// rows × width in the GPU's memory, row after row. All arrays below that have `width` numbers or more begin at a
/// multiple of 16 bytes.
struct Tokens {
  std::int64_t rows;
  std::uint32_t width;  ///< a multiple of 4, at most layer_norm_widest
  Element element;      ///< of the branch and of the normalised rows; the sums are float32
};

/// sum = x + (branch + branch_bias); y = normalised sum.
struct LayerNormForward {
  const float* x;            ///< rows × width
  const void* branch;        ///< rows × width; null: none, and no branch_bias and no sum
  const float* branch_bias;  ///< width; null: none
  const float* weight;       ///< width
  const float* bias;         ///< width
  float eps;
  float* sum;                ///< rows × width
  void* y;                   ///< rows × width
  float* mean;               ///< written: rows
  float* inverse_deviation;  ///< written: rows; 1 / sqrt(variance of n + eps)
};

/// The gradients of a LayerNormForward.
struct LayerNormBackward {
  const void* dy;     ///< rows × width
  const float* dsum;  ///< rows × width, of what else was made of the sum; null: nothing was
  const float* sum;   ///< rows × width
  const float* weight;
  const float* mean;
  const float* inverse_deviation;
  float* dx;           ///< rows × width; null: not asked for
  void* dbranch;       ///< rows × width, dx in the branch's type; null: not asked for
  float* dparameters;  ///< width of dweight, of dbias and, where `sums_branch`, of dbranch_bias
  bool sums_branch;
  float* workspace;  ///< layer_norm_workspace() numbers
};

/// How many floats the backward launch wants to work with, on the current device.
std::int64_t layer_norm_workspace(const Tokens& tokens);

/// Start them on `stream` of the current device.
cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormForward& task, cudaStream_t stream);
cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormBackward& task, cudaStream_t stream);

}  // namespace trainyard
