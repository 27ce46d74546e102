/// Tensors with names, in an order: what state_dict() gives and a checkpoint holds.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace trainyard {

/// Names are unique and not empty.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

}  // namespace trainyard
