// Compares each optimizer with PyTorch's, from the same weights on the same gradients. Nothing amplifies rounding here,
// so the bounds hold on every processor.

#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/randn_like.h>

#include "parity/parity.h"
#include "support/configured.h"
#include "support/small_model.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

struct Case {
  const char* name;
  std::string flags;
  // If the update is a sign, rounding decides it where its argument cancels, so there is no bound.
  bool is_sign = false;
};

Config config_of(const Case& c) {
  Config config = configured(c.flags);
  config.optimizer.lr = 0x1p-6;
  return config;
}

std::vector<Case> cases() {
  const std::string sgd = "--optimizer.name sgd --optimizer.weight_decay 0.25 ";
  return {
      {"sgd", sgd + "--optimizer.sgd.momentum 0 --optimizer.sgd.nesterov false"},
      {"momentum", sgd + "--optimizer.sgd.nesterov false"},
      {"nesterov", sgd},
      {"adamw", "--optimizer.name adamw --optimizer.weight_decay 0.5 --optimizer.decay_bias_norm false"},
      {"lion", "--optimizer.name lion --optimizer.weight_decay 0.5", /*is_sign=*/true},
  };
}

std::shared_ptr<Model> model_with(const Tensors& input, at::ScalarType dtype) {
  const std::shared_ptr<Model> model = small_model();
  for (auto& [name, parameter] : model->named_parameters()) {
    parameter.set_data(input.at("weight." + name).to(device(), dtype, /*non_blocking=*/false, /*copy=*/true));
  }
  return model;
}

std::shared_ptr<Model> take_steps(const OptimizerConfig& config, const Tensors& input, at::ScalarType dtype) {
  const std::shared_ptr<Model> model = model_with(input, dtype);
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(config, *model);
  optimizer->set_learning_rate(config.lr);
  for (int step = 0; step < step_count; ++step) {
    for (auto& [name, parameter] : model->named_parameters()) {
      parameter.mutable_grad() = input.at(fmt::format("gradient.{}.{}", step, name)).to(device(), dtype);
    }
    optimizer->step();
  }
  return model;
}

// Returns the fraction of the weights in `model` whose distance from PyTorch's, relative to the largest weight of their
// tensor, exceeds `bound`.
double share_apart(const Model& model, const Tensors& pytorch, double bound) {
  std::int64_t apart = 0;
  std::int64_t all = 0;
  for (const auto& [name, parameter] : model.named_parameters()) {
    const at::Tensor expected = pytorch.at("weight." + name).to(at::kDouble);
    const at::Tensor difference = (parameter.detach().cpu().to(at::kDouble) - expected).abs();
    apart += difference.gt(bound * expected.abs().max().item<double>()).sum().item<std::int64_t>();
    all += expected.numel();
  }
  return static_cast<double>(apart) / static_cast<double>(all);
}

TEST(Parity, OptimizersGiveWhatPyTorchGivesOnTheSameGradients) {
  const TempDir dir;
  at::manual_seed(9);
  NamedTensors input;
  for (const auto& [name, parameter] : small_model()->named_parameters()) {
    input.emplace_back("weight." + name, at::randn_like(parameter.detach()));
    for (int step = 0; step < step_count; ++step) {
      input.emplace_back(fmt::format("gradient.{}.{}", step, name), at::randn_like(parameter.detach()));
    }
  }
  save_safetensors(dir / "input.safetensors", input);
  nlohmann::json options = nlohmann::json::array();
  for (const Case& c : cases()) options.push_back(optimizer_options(c.name, config_of(c)));
  dir.write("cases.json", options.dump());
  const Outcome python =
      run_program({TRAINYARD_PYTHON, TRAINYARD_SOURCE_DIR "/tests/parity/optimizer_steps.py", dir.path()});
  ASSERT_EQ(python.exit_code, 0) << python.output;

  const Tensors tensors(input.begin(), input.end());
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const double rounding_decides = c.is_sign ? 1e-4 : 0;
    for (const auto& [dtype, name, bound] :
         {std::tuple(at::kDouble, "float64", 1e-12), std::tuple(at::kFloat, "float32", 1e-5)}) {
      const auto model = take_steps(config_of(c).optimizer, tensors, dtype);
      EXPECT_LE(share_apart(*model, load(fmt::format("{}/{}.{}.safetensors", dir.path(), c.name, name)), bound),
                rounding_decides)
          << name;
    }
  }
}

}  // namespace
}  // namespace trainyard
