/// Helpers shared by the comparisons with PyTorch.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "checkpoint/safetensors_torch.h"
#include "config/config.h"
#include "models/model.h"
#include "support/configured.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/torch.h"

namespace trainyard {

constexpr int step_count = 10;

/// The device of both sides: TRAINYARD_TEST_DEVICE, or the CPU.
inline at::Device device() {
  const char* name = std::getenv("TRAINYARD_TEST_DEVICE");
  return at::Device(name == nullptr ? "cpu" : name);
}

/// Returns the options that optimizers.py reads from a case, and the number of steps.
inline nlohmann::json optimizer_options(const std::string& name, const Config& config) {
  const OptimizerConfig& o = config.optimizer;
  const std::string betas = o.name == "lion" ? "optimizer.lion." : "optimizer.adamw.";
  return {{"name", name},
          {"optimizer", o.name},
          {"lr", o.lr},
          {"eps", setting_value<double>(config, "optimizer.adamw.eps")},
          {"beta1", setting_value<double>(config, betas + "beta1")},
          {"beta2", setting_value<double>(config, betas + "beta2")},
          {"momentum", setting_value<double>(config, "optimizer.sgd.momentum")},
          {"nesterov", setting_value<bool>(config, "optimizer.sgd.nesterov")},
          {"weight_decay", o.weight_decay},
          {"decay_bias_norm", o.decay_bias_norm},
          {"steps", step_count}};
}

/// Moves the model to device(), with floating-point tensors of type `dtype`. Module::to(dtype) would also convert the
/// counts of batch norm.
inline void move_to_device(Model& model, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> tensors = model.parameters();
  for (const at::Tensor& buffer : model.buffers()) tensors.push_back(buffer);
  for (at::Tensor& tensor : tensors) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype));
  }
  model.to(device());
}

/// Returns the Python that has torchvision or, without it, one that has torch.
inline std::string parity_python() {
  const std::string path = TRAINYARD_SOURCE_DIR "/build/bin/parity-python";
  return std::filesystem::exists(path) ? path : TRAINYARD_PYTHON;
}

/// Runs tests/parity/`script` on `cases`, which it reads from cases.json in `dir`. Both sides use one thread, so that
/// sums have the same order and no two processes spin on one core.
inline Outcome run_cases(const std::string& script, const TempDir& dir, const nlohmann::json& cases,
                         const std::string& python = TRAINYARD_PYTHON) {
  dir.write("cases.json", cases.dump());
  at::set_num_threads(1);
  return run_program({python, TRAINYARD_SOURCE_DIR "/tests/parity/" + script, dir.path()},
                     {"OMP_NUM_THREADS=1", "CUBLAS_WORKSPACE_CONFIG=:4096:8"});
}

using Tensors = std::map<std::string, at::Tensor>;

inline Tensors load(const std::string& path) {
  const NamedTensors tensors = load_safetensors(path);
  return {tensors.begin(), tensors.end()};
}

}  // namespace trainyard
