/// The kernel behind fused_attention_heads(), apart from LibTorch's headers, which take nvcc minutes.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// Puts the gradients of queries, keys and values together.
struct AttentionHeadsBackward {
  const void* dqueries;  ///< rows × channels, as dkeys and dvalues
  const void* dkeys;
  const void* dvalues;
  void* dqkv;        ///< rows × 3 · channels: a row is one of each, in this order
  float* dbias;      ///< 3 · channels: the sums of dqkv's rows
  float* workspace;  ///< attention_heads_workspace() numbers
};

/// How many floats the launch wants to work with, on the current device. shape: of each of the three.
std::int64_t attention_heads_workspace(const Activations& shape);

/// Starts it on `stream` of the current device.
cudaError_t launch_attention_heads(const Activations& shape, const AttentionHeadsBackward& task, cudaStream_t stream);

}  // namespace trainyard
