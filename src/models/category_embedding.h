/// Creates an embedding for the values of a table's categorical columns.
#pragma once

#include <torch/nn/modules/embedding.h>

#include "datasets/field.h"

namespace trainyard {

/// Vectors have `width` elements, normally distributed; the vector for a category that does not occur in train is zero
/// and never trained. REQUIRES that the field has values.
inline torch::nn::Embedding category_embedding(const Field& categorical, std::int64_t width) {
  torch::nn::Embedding embedding(categorical.values->count, width);
  const at::NoGradGuard no_grad;
  std::int64_t begin = 0;
  for (const Column& column : categorical.columns) {
    embedding->weight[begin].zero_();
    begin += values_of(column);
  }
  return embedding;
}

}  // namespace trainyard
