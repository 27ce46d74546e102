#include "layers/batch_norm.h"

#include "layers/fused_batch_norm.h"

namespace trainyard {

at::Tensor BatchNormImpl::forward(const at::Tensor& x) {
  const std::vector<at::Tensor> fused = fused_batch_norm(*this, x, std::nullopt, /*relu=*/false);
  return fused.empty() ? BatchNorm2dImpl::forward(x) : fused[0];
}

at::Tensor BatchNormImpl::relu(const at::Tensor& x) {
  const std::vector<at::Tensor> fused = fused_batch_norm(*this, x, std::nullopt, /*relu=*/true);
  return fused.empty() ? BatchNorm2dImpl::forward(x).relu_() : fused[0];
}

Branches BatchNormImpl::add_relu(const at::Tensor& x, const at::Tensor& residual) {
  const std::vector<at::Tensor> fused = fused_batch_norm(*this, x, residual, /*relu=*/true);
  if (!fused.empty()) return {fused[0], fused[1]};
  const at::Tensor y = BatchNorm2dImpl::forward(x).add_(residual).relu_();
  return {y, y};
}

}  // namespace trainyard
