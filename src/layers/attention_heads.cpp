#include "layers/attention_heads.h"

#include <ATen/ops/linear.h>

#include "layers/fused.h"

namespace trainyard {

Heads split_heads(const at::Tensor& qkv, std::int64_t heads) {
  // The backward pass of unbind() concatenates the three gradients in one pass.
  const std::vector<at::Tensor> parts =
      qkv.view({qkv.size(0), qkv.size(1), 3, heads, qkv.size(2) / 3 / heads}).unbind(2);
  return {parts[0].transpose(1, 2), parts[1].transpose(1, 2), parts[2].transpose(1, 2)};
}

Heads attention_heads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t heads) {
  if (const std::optional<Heads> fused = fused_attention_heads(x, weight, bias, heads)) return *fused;
  return split_heads(at::linear(x, weight, bias), heads);
}

}  // namespace trainyard
