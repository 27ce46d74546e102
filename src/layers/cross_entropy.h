/// Cross-entropy against class indices that reads 16-bit logits as they are.
#pragma once

#include <cstdint>

#include "util/torch.h"

namespace trainyard {

/// Returns the loss of each row: at::cross_entropy_loss() without reduction and class weights, in float32 for all types
/// except float64. Rows whose target is `ignored` have the loss 0 and no gradient.
///
/// logits: rows × classes. target: int64, one class per row. label_smoothing: the share of the target that is spread
/// over all classes.
///
/// On a GPU, float32, float16 and bfloat16 logits use fused kernels: forward reads the logits once, backward reads them
/// once and writes their gradient once, and there is no float32 copy. The loss is NaN for a target that is no class.
/// Everything else uses LibTorch's operators. If the logits are a view of the first columns of a contiguous matrix, as
/// those of output_projection() may be, the gradient is computed for the matrix and does not pass through the view.
/// If they are bfloat16 scores of output_projection() and many, forward also computes the gradient, in one pass, and
/// backward neither reads nor writes the logits: their gradient passes to the operands of the projection directly.
/// Results are bit-identical from run to run. The fused gradient has no second derivative.
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                         double label_smoothing = 0);

/// cross_entropy() of logits that nothing reads afterwards: a gradient that forward computes overwrites them, which
/// halves the memory that the scores of a large vocabulary take. Without gradients the logits stay as they are.
at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                                  double label_smoothing = 0);

}  // namespace trainyard
