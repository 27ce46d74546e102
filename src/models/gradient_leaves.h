/// Finds the tensors that a result was computed from and that backward() would compute gradients of.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "models/model.h"

namespace trainyard {

/// The leaves of the autograd graph of `result`; none if it needs no gradient.
std::unordered_set<const at::TensorImpl*> gradient_leaves(const at::Tensor& result);

/// The names of the trained parameters that `result` does not depend on, so that training would not change them.
std::vector<std::string> parameters_without_gradient(const Model& model, const at::Tensor& result);

}  // namespace trainyard
