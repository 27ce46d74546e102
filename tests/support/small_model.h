/// A small model for tests, and its tensors by name.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>

#include "models/model.h"

namespace trainyard {

/// Returns the convnet with newly initialized weights.
inline std::shared_ptr<Model> small_model() {
  return make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
}

/// Returns one tensor of state_dict(), detached, sharing the model's memory. REQUIRES that it exists.
inline at::Tensor tensor_of(const Model& model, std::string_view name) {
  const NamedTensors state = model.state_dict();
  return std::find_if(state.begin(), state.end(), [&](const auto& entry) { return entry.first == name; })
      ->second.detach();
}

}  // namespace trainyard
