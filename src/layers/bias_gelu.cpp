#include "layers/bias_gelu.h"

#include <ATen/ops/gelu.h>

#include "layers/fused.h"

namespace trainyard {

at::Tensor bias_gelu(const at::Tensor& product, const at::Tensor& bias, Gelu form) {
  if (const std::optional<at::Tensor> fused = fused_bias_gelu(product, bias, form)) return *fused;
  return at::gelu(product + bias.to(product.scalar_type()), form == Gelu::tanh ? "tanh" : "none");
}

}  // namespace trainyard
