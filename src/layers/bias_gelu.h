/// The activation of a transformer, together with the addition of the bias before it.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// at::gelu(product + bias), of the product's type. bias: one number for each of the last dimension. On a GPU a
/// float32, float16 or bfloat16 product whose last dimension fills vectors of 16 bytes, with a float32 bias, takes
/// kernels of our own, which sum up the bias's gradient where they write the product's; all else takes LibTorch's
/// operators. Gives the same bits in every run. The kernels' gradient cannot be differentiated again.
at::Tensor bias_gelu(const at::Tensor& product, const at::Tensor& bias);

}  // namespace trainyard
