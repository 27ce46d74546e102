/// Builds the model inputs of tasks for tests.
#pragma once

#include "models/model.h"

namespace trainyard {

/// An image in, a score per class and pixel out.
inline ModelInput segmentation_input(const ImageShape& image, std::int64_t classes) {
  ModelInput input = image_input(image, classes);
  input.logits = {classes, image.height, image.width};
  return input;
}

/// Tokens in, a score per token and word of the vocabulary out.
inline ModelInput language_input(std::int64_t tokens, std::int64_t vocabulary) {
  return {.fields = {{.name = "tokens", .dtype = DType::int32, .shape = {tokens}}},
          .outputs = vocabulary,
          .logits = {tokens, vocabulary}};
}

/// A table row in, `outputs` scores out. The row has `numbers` numeric columns and one categorical column for each
/// element of `categories`.
inline ModelInput table_input(std::int64_t numbers, const std::vector<std::vector<std::string>>& categories,
                              std::int64_t outputs) {
  ModelInput input{.fields = {{.name = "numeric", .dtype = DType::float32, .shape = {numbers}}},
                   .outputs = outputs,
                   .logits = {outputs}};
  if (categories.empty()) return input;
  Field categorical{
      .name = "categorical", .dtype = DType::int64, .shape = {std::ssize(categories)}, .values = ValueRange{0}};
  for (const std::vector<std::string>& column : categories) {
    categorical.columns.push_back({.name = "column", .categories = column});
    categorical.values->count += values_of(categorical.columns.back());
  }
  input.fields.push_back(std::move(categorical));
  return input;
}

}  // namespace trainyard
