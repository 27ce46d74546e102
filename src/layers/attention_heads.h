/// The linear layer before attention, and its result taken apart.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// Each N × heads × tokens × numbers of a head.
struct Heads {
  at::Tensor queries, keys, values;
};

/// at::linear(x, weight, bias), N × tokens × 3 · width, taken apart where it lies: queries, keys and values, each head
/// by head. x: N × tokens × anything. On a GPU, where the width fills vectors of 16 bytes and the bias is float32, a
/// kernel of our own puts the three gradients together and sums up the bias's in the same pass; elsewhere LibTorch's
/// operators do. Gives the same bits in every run. The kernel's gradient cannot be differentiated again.
Heads attention_heads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t heads);

}  // namespace trainyard
