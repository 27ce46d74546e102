/// Draws the factors of stochastic depth (Huang et al. 2016, "Deep Networks with Stochastic Depth"), like torchvision's
/// StochasticDepth in mode "row" and timm's DropPath: each sample skips a residual branch with probability p.
#pragma once

#include <cstdint>

#include "util/torch.h"

namespace trainyard {

/// Returns p for block `index` of `blocks`: it rises linearly from 0 for the first block to `most` for the last.
double drop_path_of_block(double most, std::int64_t index, std::int64_t blocks);

/// Returns the factors for `branches` residual branches of x, N × any shape: branches × N × 1 × ..., in the type of x.
/// Each value is 0 with probability p and 1 / (1 - p) otherwise, drawn from the default generator of the device of x.
/// Returns an undefined tensor if p is 0. REQUIRES 0 <= p < 1.
at::Tensor drop_path_factors(std::int64_t branches, const at::Tensor& x, double p);

}  // namespace trainyard
