/// Converts the arguments of max_pool() to those of kernels.
#pragma once

#include <optional>

#include "layers/cuda/max_pool_kernel.h"
#include "util/torch.h"

namespace trainyard {

/// Empty if the kernels do not support them. Invalid arguments are left to LibTorch, which reports them.
std::optional<Pooling> pooling_of(const at::Tensor& x, std::int64_t size, std::int64_t stride, std::int64_t padding);

}  // namespace trainyard
