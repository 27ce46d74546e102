/// Global average pooling whose gradient needs no conversion of its memory format.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// x.mean({2, 3}) of x, N × channels × height × width: N × channels, with the same results and gradients. The gradient
/// of mean() is contiguous whatever the format of x, so that the layer before a pooling of channels-last activations
/// first copies it; this one has the memory format of x.
at::Tensor global_average_pool(const at::Tensor& x);

}  // namespace trainyard
