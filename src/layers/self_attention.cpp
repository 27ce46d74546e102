#include "layers/self_attention.h"

#include <ATen/ops/scaled_dot_product_attention.h>

#include "layers/attention_heads.h"
#include "layers/fused.h"

namespace trainyard {

at::Tensor self_attention(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          const SelfAttentionOptions& options) {
  if (const std::optional<at::Tensor> fused = fused_self_attention(x, weight, bias, options)) return *fused;
  const auto [queries, keys, values] = attention_heads(x, weight, bias, options.heads);
  return at::scaled_dot_product_attention(queries, keys, values, /*attn_mask=*/{}, options.dropout, options.causal)
      .transpose(1, 2)
      .flatten(2);
}

}  // namespace trainyard
