/// An ordered list of named tensors, as state_dict() returns it and a checkpoint stores it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace trainyard {

/// Names are unique and not empty.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

}  // namespace trainyard
