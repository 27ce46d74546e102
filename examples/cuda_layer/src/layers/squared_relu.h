/// The activation of Primer (So et al. 2021, "Primer: Searching for Efficient Transformers for Language Modeling").
#pragma once

#include "util/torch.h"

namespace trainyard {

/// max(x, 0)². On a GPU, contiguous float32 takes one pass forward and one backward; everything else uses LibTorch's
/// operators. The kernels' gradient has no second derivative.
at::Tensor squared_relu(const at::Tensor& x);

}  // namespace trainyard
