#include "layers/fused_layer_norm.h"

namespace trainyard {

std::vector<at::Tensor> fused_layer_norm(const torch::nn::LayerNormImpl&, const at::Tensor&, const Branch&) {
  return {};
}

}  // namespace trainyard
