#include "layers/batch_norm.h"

#include "layers/fused.h"

namespace trainyard {

at::Tensor BatchNormImpl::forward(const at::Tensor& x) {
  if (is_synchronized()) return synchronized_batch_norm(*this, x, all_reduce_);
  if (const std::optional<Branches> fused = fused_batch_norm(*this, x, std::nullopt, /*relu=*/false)) {
    return fused->main;
  }
  return BatchNorm2dImpl::forward(x);
}

at::Tensor BatchNormImpl::relu(const at::Tensor& x) {
  if (is_synchronized()) return forward(x).relu_();
  if (const std::optional<Branches> fused = fused_batch_norm(*this, x, std::nullopt, /*relu=*/true)) {
    return fused->main;
  }
  return BatchNorm2dImpl::forward(x).relu_();
}

Branches BatchNormImpl::add_relu(const at::Tensor& x, const at::Tensor& residual) {
  if (!is_synchronized()) {
    if (const std::optional<Branches> fused = fused_batch_norm(*this, x, residual, /*relu=*/true)) return *fused;
  }
  const at::Tensor y = forward(x).add_(residual).relu_();
  return {y, y};
}

}  // namespace trainyard
