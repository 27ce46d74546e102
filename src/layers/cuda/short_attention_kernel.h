/// Launches the kernels of fused_self_attention(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

constexpr std::int64_t short_attention_max_tokens = 80;

struct ShortAttention {
  std::uint32_t samples, tokens, heads;
  std::uint32_t width;  ///< elements of a head: 32 or 64
  bool causal;
  Element element;  ///< float16 or bfloat16
};

/// qkv: samples × tokens × 3 × heads × width. y: samples × tokens × heads × width.
struct ShortAttentionForward {
  const void* qkv;
  void* y;
};

/// The gradients of a ShortAttentionForward.
struct ShortAttentionBackward {
  const void* qkv;
  const void* dy;    ///< shaped like y
  void* dqkv;        ///< shaped like qkv
  float* dbias;      ///< 3 × heads × width: dqkv summed over samples and tokens
  float* workspace;  ///< samples × 3 × heads × width floats
};

/// Whether the current device has the instructions.
bool has_short_attention();

/// Asynchronous on `stream` of the current device; return the error of the launch. All memory is aligned to 16 bytes.
cudaError_t launch_short_attention(const ShortAttention& shape, const ShortAttentionForward& params,
                                   cudaStream_t stream);
cudaError_t launch_short_attention(const ShortAttention& shape, const ShortAttentionBackward& params,
                                   cudaStream_t stream);

}  // namespace trainyard
