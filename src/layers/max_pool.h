/// The largest number of each window, on a GPU in kernels of our own.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// at::max_pool2d(x, size, stride, padding), numbers and errors. On a GPU windows of 2×2 and 3×3 over float32, float16
/// or bfloat16 in channels-last memory format, whose channels fill vectors of 16 bytes, take kernels that keep a byte
/// for each result to find its place again, where LibTorch's keep eight; all else takes LibTorch's operator. Gives the
/// same bits in every run. The kernels' gradient cannot be differentiated again.
at::Tensor max_pool(const at::Tensor& x, std::int64_t size, std::int64_t stride, std::int64_t padding = 0);

}  // namespace trainyard
