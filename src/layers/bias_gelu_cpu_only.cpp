#include "layers/bias_gelu.h"

#include <ATen/ops/gelu.h>

namespace trainyard {

at::Tensor bias_gelu(const at::Tensor& product, const at::Tensor& bias) {
  return at::gelu(product + bias.to(product.scalar_type()));
}

}  // namespace trainyard
