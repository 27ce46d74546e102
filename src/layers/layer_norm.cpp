#include "layers/layer_norm.h"

#include "layers/fused.h"

namespace trainyard {

AddNorm LayerNormImpl::add_norm(const at::Tensor& x, const PendingAdd& pending) {
  if (const std::optional<AddNorm> fused = fused_layer_norm(*this, x, pending)) return *fused;
  const at::Tensor sum = pending.product.defined() ? (x + pending.product).add_(pending.bias) : x;
  return {sum, forward(sum)};
}

}  // namespace trainyard
