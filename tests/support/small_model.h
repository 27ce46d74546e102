/// A small model and its tensors by name.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>

#include "models/model.h"

namespace trainyard {

/// The convnet, its weights drawn anew.
inline std::shared_ptr<Model> small_model() {
  return make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
}

/// One tensor of state_dict(), detached, in the model's memory. REQUIRES that it is there.
inline at::Tensor tensor_of(const Model& model, std::string_view name) {
  const NamedTensors state = model.state_dict();
  return std::find_if(state.begin(), state.end(), [&](const auto& entry) { return entry.first == name; })
      ->second.detach();
}

}  // namespace trainyard
