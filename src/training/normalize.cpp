#include "training/normalize.h"

namespace trainyard {

Normalize::Normalize(const std::vector<float>& mean, const std::vector<float>& std, at::Device device) {
  const at::Tensor std_tensor = at::tensor(std, at::kDouble);
  scale_ = (1 / std_tensor).to(at::kFloat).to(device);
  shift_ = (-at::tensor(mean, at::kDouble) / std_tensor).to(at::kFloat).to(device);
}

at::Tensor Normalize::operator()(const at::Tensor& images) const {
  // Height × width × channels in memory is what channels last means: permuting afterwards moves no bytes.
  const at::Tensor scale = images.scalar_type() == at::kByte ? scale_ / 255 : scale_;
  return at::addcmul(shift_, images.to(at::kFloat), scale).permute({0, 3, 1, 2});
}

}  // namespace trainyard
