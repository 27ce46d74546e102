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

}  // namespace trainyard
