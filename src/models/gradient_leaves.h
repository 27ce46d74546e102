/// Finds the tensors that a result was computed from and that backward() would compute gradients of.
#pragma once

#include <unordered_set>

#include "util/torch.h"

namespace trainyard {

/// The leaves of the autograd graph of `result`; none if it needs no gradient.
std::unordered_set<const at::TensorImpl*> gradient_leaves(const at::Tensor& result);

}  // namespace trainyard
