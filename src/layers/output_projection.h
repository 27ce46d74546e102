/// The linear layer that computes the scores of many classes, e.g. of a vocabulary.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// Returns at::linear(x, weight). weight: classes × width. On a GPU the weight is padded to a multiple of 64 classes
/// for the product, because unaligned rows, e.g. of 50,257 scores, make it and its gradients several times as slow. The
/// result is then a view of the first columns of a wider matrix, which cross_entropy() recognizes.
at::Tensor output_projection(const at::Tensor& x, const at::Tensor& weight);

}  // namespace trainyard
