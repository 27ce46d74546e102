#include "layers/gelu_mlp.h"

#include <ATen/ops/linear.h>

#include "layers/bias_gelu.h"
#include "layers/fused.h"

namespace trainyard {

at::Tensor gelu_mlp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const at::Tensor& projection) {
  if (const std::optional<at::Tensor> fused = fused_gelu_mlp(x, weight, bias, projection)) return *fused;
  return at::linear(bias_gelu(at::linear(x, weight), bias, Gelu::tanh), projection);
}

}  // namespace trainyard
