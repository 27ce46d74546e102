#include "layers/batch_norm.h"

#include "layers/fused.h"
#include "layers/max_pool.h"

namespace trainyard {

at::Tensor BatchNormImpl::forward(const at::Tensor& x) {
  if (const std::optional<Branches> fused = fused_forward(x, std::nullopt, /*relu=*/false)) return fused->main;
  if (is_synchronized()) return synchronized_batch_norm(*this, x, all_reduce_);
  return BatchNorm2dImpl::forward(x);
}

at::Tensor BatchNormImpl::relu(const at::Tensor& x) {
  if (const std::optional<Branches> fused = fused_forward(x, std::nullopt, /*relu=*/true)) return fused->main;
  return forward(x).relu_();
}

Branches BatchNormImpl::add_relu(const at::Tensor& x, const at::Tensor& residual) {
  if (const std::optional<Branches> fused = fused_forward(x, residual, /*relu=*/true)) return *fused;
  const at::Tensor y = forward(x).add_(residual).relu_();
  return {y, y};
}

Branches BatchNormImpl::relu_pool(const at::Tensor& x) {
  if (const std::optional<Branches> fused = fused_batch_norm_pool(*this, x, all_reduce())) return *fused;
  const at::Tensor y = max_pool(relu(x), /*size=*/3, /*stride=*/2, /*padding=*/1);
  return {y, y};
}

std::optional<Branches> BatchNormImpl::fused_forward(const at::Tensor& x, const std::optional<at::Tensor>& residual,
                                                     bool relu) {
  return fused_batch_norm(*this, x, residual, relu, all_reduce());
}

}  // namespace trainyard
