/// The input projection of multi-head attention.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// Each N × heads × tokens × width of a head.
struct Heads {
  at::Tensor queries, keys, values;
};

/// Computes at::linear(x, weight, bias), N × tokens × 3 · width, and returns views of it: queries, keys and values,
/// split into heads. x: N × tokens × any width. On a GPU, if the width is a multiple of 8 and the parameters are
/// float32, a custom kernel concatenates the three gradients and sums the bias's gradient in the same pass; otherwise
/// LibTorch's operators do. Results are bit-identical from run to run. The fused gradient has no second derivative.
Heads attention_heads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t heads);

}  // namespace trainyard
