/// Max pooling that stores one byte per output for the backward pass, where LibTorch's operator stores eight.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// at::max_pool2d(x, size, stride, padding), with the same results and errors. On a GPU, windows of 2×2 and 3×3 over
/// float32, float16 or bfloat16 in channels-last memory format with a multiple of 16 bytes of channels use custom
/// kernels; everything else uses LibTorch's operator. Results are bit-identical from run to run. The custom gradient
/// has no second derivative.
at::Tensor max_pool(const at::Tensor& x, std::int64_t size, std::int64_t stride, std::int64_t padding = 0);

}  // namespace trainyard
