#include "layers/cross_entropy.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/promote_types.h>

#include "layers/fused.h"

namespace trainyard {
namespace {

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                         double label_smoothing, bool overwrites) {
  if (const auto fused = fused_cross_entropy(logits, target, ignored, label_smoothing, overwrites)) return *fused;
  return at::cross_entropy_loss(logits.to(at::promote_types(logits.scalar_type(), at::kFloat)), target, /*weight=*/{},
                                at::Reduction::None, ignored, label_smoothing);
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                         double label_smoothing) {
  return cross_entropy(logits, target, ignored, label_smoothing, /*overwrites=*/false);
}

at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                                  double label_smoothing) {
  return cross_entropy(logits, target, ignored, label_smoothing, /*overwrites=*/true);
}

}  // namespace trainyard
