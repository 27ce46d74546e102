/// What data and tasks ask of models in tests.
#pragma once

#include "models/model.h"

namespace trainyard {

/// An image in, a score for each class and pixel out.
inline ModelInput segmentation_input(const ImageShape& image, std::int64_t classes) {
  ModelInput input = image_input(image, classes);
  input.logits = {classes, image.height, image.width};
  return input;
}

/// Tokens in, a score for each word of the vocabulary and token out.
inline ModelInput language_input(std::int64_t tokens, std::int64_t vocabulary) {
  return {.fields = {{.name = "tokens", .dtype = DType::int32, .shape = {tokens}}},
          .outputs = vocabulary,
          .logits = {tokens, vocabulary}};
}

/// A table's row in, `outputs` scores out: of `numbers` numeric columns, and of categorical ones with these categories.
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
