/// GELU with the bias add before it fused in.
#pragma once

#include <cstdint>

#include "util/torch.h"

namespace trainyard {

/// x · Φ(x), or the approximation of Φ by tanh that GPT-2 uses.
enum class Gelu : std::uint8_t { exact, tanh };

/// Returns at::gelu(product + bias) in the product's type. bias: one value per element of the last dimension. On a GPU,
/// a float32, float16 or bfloat16 product whose last dimension is a multiple of 16 bytes, with a float32 bias, uses
/// fused kernels, which sum the bias's gradient in the pass that writes the product's; everything else uses LibTorch's
/// operators. Results are bit-identical from run to run. The fused gradient has no second derivative.
at::Tensor bias_gelu(const at::Tensor& product, const at::Tensor& bias, Gelu form = Gelu::exact);

}  // namespace trainyard
