/// What the comparisons with PyTorch share.
#pragma once

#include <cstdlib>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "checkpoint/safetensors_torch.h"
#include "config/config.h"
#include "util/torch.h"

namespace trainyard {

constexpr int step_count = 10;

/// Where both sides compute: TRAINYARD_TEST_DEVICE, or the CPU.
inline at::Device device() {
  const char* name = std::getenv("TRAINYARD_TEST_DEVICE");
  return at::Device(name == nullptr ? "cpu" : name);
}

/// What optimizers.py reads of a case, and the number of steps.
inline nlohmann::json optimizer_options(const std::string& name, const OptimizerConfig& config) {
  return {{"name", name},
          {"optimizer", config.name},
          {"lr", config.lr},
          {"eps", config.eps},
          {"beta1", config.beta1},
          {"beta2", config.beta2},
          {"momentum", config.momentum},
          {"nesterov", config.nesterov},
          {"weight_decay", config.weight_decay},
          {"decay_bias_norm", config.decay_bias_norm},
          {"steps", step_count}};
}

using Tensors = std::map<std::string, at::Tensor>;

inline Tensors load(const std::string& path) {
  const NamedTensors tensors = load_safetensors(path);
  return {tensors.begin(), tensors.end()};
}

}  // namespace trainyard
