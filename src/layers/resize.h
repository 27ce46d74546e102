/// Resizes feature maps.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// at::upsample_bilinear2d(x, {height, width}, align_corners = false), up to rounding, as two matrix products: on a
/// GPU, the gradient of LibTorch's operator differs from run to run. x: N × channels × any size, in any memory format.
/// Returns a contiguous tensor; float32 for types of lower precision, even under autocast.
at::Tensor resize_bilinear(const at::Tensor& x, std::int64_t height, std::int64_t width);

}  // namespace trainyard
