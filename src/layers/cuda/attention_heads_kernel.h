/// Launches the kernel of fused_attention_heads(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// Concatenates the gradients of queries, keys and values into the gradient of qkv, and sums it over the rows.
struct AttentionHeadsBackward {
  const void* dqueries;  ///< rows × C, like dkeys and dvalues
  const void* dkeys;
  const void* dvalues;
  void* dqkv;        ///< rows × 3C: in each row the queries, then keys, then values
  float* dbias;      ///< 3C: dqkv summed over its rows
  float* workspace;  ///< attention_heads_workspace() floats
};

/// The size of `workspace` in floats on the current device. shape: of dqueries alone.
std::int64_t attention_heads_workspace(const Activations& shape);

/// Asynchronous on `stream` of the current device; returns the error of the launch.
cudaError_t launch_attention_heads(const Activations& shape, const AttentionHeadsBackward& params, cudaStream_t stream);

}  // namespace trainyard
