#include "optim/ema.h"

#include <algorithm>

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_lerp.h>

namespace trainyard {
namespace {

std::vector<at::Tensor> tensors_of(const Model& model) {
  std::vector<at::Tensor> tensors = model.parameters();
  for (const at::Tensor& buffer : model.buffers()) tensors.push_back(buffer);
  return tensors;
}

}  // namespace

Ema::Ema(const Model& source, Model& average, double decay) : decay_(decay) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> from = tensors_of(source);
  const std::vector<at::Tensor> to = tensors_of(average);
  for (std::size_t i = 0; i < from.size(); ++i) {
    to[i].copy_(from[i]);
    (from[i].is_floating_point() ? sources_ : counts_).push_back(from[i]);
    (from[i].is_floating_point() ? averages_ : count_copies_).push_back(to[i]);
  }
}

void Ema::update(std::int64_t step) {
  const at::NoGradGuard no_grad;
  const auto done = static_cast<double>(step);
  const double decay = std::min(decay_, (1 + done) / (10 + done));
  at::_foreach_lerp_(averages_, sources_, 1 - decay);
  if (!counts_.empty()) at::_foreach_copy_(count_copies_, counts_);
}

}  // namespace trainyard
