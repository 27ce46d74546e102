/// Where attention_heads() takes a kernel of our own.
#pragma once

#include <optional>

#include "layers/attention_heads.h"

namespace trainyard {

/// qkv: N × tokens × 3 · width, of which the results are views.
Heads take_apart(const at::Tensor& qkv, std::int64_t heads);

/// attention_heads(); nothing, and has done nothing, for what the kernel does not do: see applies() in
/// fused_attention_heads_cuda.cpp; without a CUDA compiler that is everything.
std::optional<Heads> fused_attention_heads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                           std::int64_t heads);

}  // namespace trainyard
