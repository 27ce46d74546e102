#include "layers/fused_batch_norm.h"

namespace trainyard {

std::vector<at::Tensor> fused_batch_norm(const torch::nn::BatchNorm2dImpl&, const at::Tensor&,
                                         const std::optional<at::Tensor>&, bool) {
  return {};
}

}  // namespace trainyard
