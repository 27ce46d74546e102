#include "loader_torch/normalize.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/addcmul.h>

namespace trainyard {
namespace {

at::ScalarType type_on(at::DeviceType device) {
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : at::kFloat;
}

}  // namespace

Normalize::Normalize(const std::vector<float>& mean, const std::vector<float>& std, at::Device device) {
  const at::Tensor std_tensor = at::tensor(std, at::kDouble);
  const at::Tensor scale = (1 / std_tensor).to(at::kFloat);
  scale_ = scale.to(device);
  byte_scale_ = (scale / 255).to(device);
  shift_ = (-at::tensor(mean, at::kDouble) / std_tensor).to(at::kFloat).to(device);
}

at::Tensor Normalize::operator()(const at::Tensor& images, const Selection& selection) const {
  const Normalization normalization{.scale = images.scalar_type() == at::kByte ? byte_scale_ : scale_,
                                    .shift = shift_,
                                    .type = type_on(images.device().type())};
  // Height × width × channels in memory is the channels-last format: the permutation moves no data.
  return normalize_images(images, normalization, selection).permute({0, 3, 1, 2});
}

at::Tensor selected(const at::Tensor& data, const Selection& selection) {
  at::Tensor chosen = selection.indices.defined() ? data.index_select(0, selection.indices) : data;
  if (!selection.mirrored.defined()) return chosen;
  std::vector<std::int64_t> per_row(static_cast<std::size_t>(data.dim()), 1);
  per_row[0] = -1;
  return at::where(selection.mirrored.view(per_row), chosen.flip(2), chosen);
}

at::Tensor normalize_by_operators(const at::Tensor& images, const Normalization& normalization,
                                  const Selection& selection) {
  const at::Tensor chosen = selected(images, selection).to(at::kFloat);
  return at::addcmul(normalization.shift, chosen, normalization.scale).to(normalization.type);
}

}  // namespace trainyard
