/// The two linear layers of a transformer's MLP with GPT-2's GELU between them.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// Returns at::linear(at::gelu(at::linear(x, weight, bias), "tanh"), projection): without the second layer's bias.
/// x: ... × in, weight: hidden × in, bias: hidden, projection: out × hidden.
///
/// On a GPU, if float16 or bfloat16 is what the products take, with or without autocast, cuBLASLt's products apply the
/// bias and GELU to what they write, and GELU's gradient to what they write in the backward pass, which saves two
/// passes over the hidden activations. The first call with each shape measures whether that is faster: only if
/// LibTorch's benchmark mode is on and its deterministic mode is off, because the choice may differ from run to run,
/// and so may the rounding. The bias's gradient may then be rounded to the type of the product, as autocast does. There
/// is no second derivative. Everything else uses bias_gelu() between LibTorch's products.
at::Tensor gelu_mlp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const at::Tensor& projection);

}  // namespace trainyard
