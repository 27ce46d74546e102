/// Multi-head self-attention up to its output projection.
#pragma once

#include "util/torch.h"

namespace trainyard {

struct SelfAttentionOptions {
  std::int64_t heads = 1;  ///< a divisor of the width
  bool causal = false;     ///< a token attends to itself and to those before it
  double dropout = 0;      ///< probability that an attention weight is dropped
};

/// Computes attention_heads(x, weight, bias, heads), then at::scaled_dot_product_attention() of them, and returns the
/// heads' results side by side, N × tokens × width. On a GPU since Ampere, up to 80 tokens in float16 or bfloat16 with
/// heads of 32 or 64 elements and without dropout use a kernel of their own, which keeps a whole head in shared memory;
/// the weights of attention are float32 there and rounded before they are multiplied with the values, as in
/// LibTorch's kernels. Results without dropout are bit-identical from run to run if torch's are deterministic. The
/// fused gradients have no second derivative.
at::Tensor self_attention(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          const SelfAttentionOptions& options);

}  // namespace trainyard
