#include "optim/grad_scaler.h"

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>

namespace trainyard {
namespace {

// The defaults of torch.amp.GradScaler.
constexpr double first_scale = 65'536;
constexpr double growth = 2;
constexpr double backoff = 0.5;
constexpr std::int64_t growth_interval = 2000;

}  // namespace

GradScaler::GradScaler(bool enabled, at::Device device) : enabled_(enabled) {
  if (!enabled_) return;
  scale_ = at::full({}, first_scale, at::TensorOptions(device).dtype(at::kFloat));
  growth_tracker_ = at::zeros({}, at::TensorOptions(device).dtype(at::kInt));
}

at::Tensor GradScaler::scale(const at::Tensor& loss) const { return enabled_ ? loss * scale_ : loss; }

void GradScaler::unscale(std::vector<at::Tensor>& gradients, at::Tensor& found_inf) const {
  if (!enabled_) return;
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, found_inf, scale_.reciprocal());
}

void GradScaler::update(const at::Tensor& found_inf) {
  if (!enabled_) return;
  at::_amp_update_scale_(scale_, growth_tracker_, found_inf, growth, backoff, growth_interval);
}

NamedTensors GradScaler::state() const {
  if (!enabled_) return {};
  return {{"scale", scale_}, {"growth_tracker", growth_tracker_}};
}

}  // namespace trainyard
