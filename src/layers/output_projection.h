/// The linear layer that computes the scores of many classes, e.g. of a vocabulary.
#pragma once

#include <optional>

#include "util/torch.h"

namespace trainyard {

/// Returns at::linear(x, weight). weight: classes × width. On a GPU the weight is padded to a multiple of 64 classes
/// for the product, because unaligned rows, e.g. of 50,257 scores, make it and its gradients several times as slow. The
/// result is then a view of the first columns of a wider matrix, which cross_entropy() recognizes, and its operands.
at::Tensor output_projection(const at::Tensor& x, const at::Tensor& weight);

/// The product x · weightᵀ. x: rows × width; weight: padded classes × width, both in the type of the product.
struct Projection {
  at::Tensor x, weight;
};

/// Returns the operands if `matrix` is the matrix that output_projection() computed, before its columns were selected,
/// and requires a gradient.
std::optional<Projection> projection_of(const at::Tensor& matrix);

}  // namespace trainyard
