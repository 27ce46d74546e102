#include "layers/layer_norm.h"

#include "layers/fused.h"

namespace trainyard {

NormalisedStream LayerNormImpl::add(const at::Tensor& x, const Branch& branch) {
  if (const std::optional<NormalisedStream> fused = fused_layer_norm(*this, x, branch)) return *fused;
  const at::Tensor sum = branch.product.defined() ? (x + branch.product).add_(branch.bias) : x;
  return {sum, forward(sum)};
}

}  // namespace trainyard
