/// Stochastic depth (Huang et al. 2016, "Deep Networks with Stochastic Depth"), as torchvision's StochasticDepth in the
/// mode "row" and timm's DropPath: each sample skips a residual branch with probability p.
#pragma once

#include <cstdint>

#include "util/torch.h"

namespace trainyard {

/// The p of block `index` of `blocks`: rises linearly from 0 to `most`, that of the last one.
double drop_path_of_block(double most, std::int64_t index, std::int64_t blocks);

/// What `branches` residual branches of x, N × any shape, are to be multiplied by: branches × N × 1 × ..., of its type;
/// each value is 0 with probability p and 1 / (1 - p) otherwise. Drawn by the default generator of the device of x.
/// Undefined if p is 0. 0 <= p < 1.
at::Tensor drop_path_factors(std::int64_t branches, const at::Tensor& x, double p);

}  // namespace trainyard
