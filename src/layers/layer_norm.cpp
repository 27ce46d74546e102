#include "layers/layer_norm.h"

#include "layers/fused_layer_norm.h"

namespace trainyard {

NormalisedStream LayerNormImpl::add(const at::Tensor& x, const Branch& branch) {
  const std::vector<at::Tensor> fused = fused_layer_norm(*this, x, branch);
  if (!fused.empty()) return {fused[0], fused[1]};
  const at::Tensor sum = branch.product.defined() ? (x + branch.product).add_(branch.bias) : x;
  return {sum, forward(sum)};
}

}  // namespace trainyard
