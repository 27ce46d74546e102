// The same training steps here and in PyTorch, from the same weights on the same batch.

#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "checkpoint/safetensors_torch.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "training/train_step.h"

namespace trainyard {
namespace {

constexpr int kSteps = 3;
constexpr float kMean = 0.286F;
constexpr float kStd = 0.353F;

struct Case {
  const char* name;
  OptimizerConfig optimizer;
  double label_smoothing;
};

class TrainingStep : public testing::TestWithParam<Case> {};

TEST_P(TrainingStep, GivesPythonsWeightsAndLosses) {
  const OptimizerConfig& config = GetParam().optimizer;
  at::manual_seed(7);
  const at::Tensor pixels = at::randint(0, 256, {16, 28, 28, 1}, at::kByte);
  const at::Tensor labels = at::randint(0, 10, {16}, at::kLong);
  const auto model = make_model({.name = "convnet"}, {.channels = 1, .height = 28, .width = 28, .classes = 10});

  const TempDir dir;
  NamedTensors input = {{"images", pixels}, {"labels", labels}};
  for (const auto& [name, tensor] : state_dict(*model)) input.emplace_back("model." + name, tensor);
  save_safetensors(dir / "input.safetensors", input);
  const nlohmann::json options = {{"optimizer", config.name},
                                  {"lr", config.lr},
                                  {"eps", config.eps},
                                  {"momentum", config.momentum},
                                  {"nesterov", config.nesterov},
                                  {"weight_decay", config.weight_decay},
                                  {"label_smoothing", GetParam().label_smoothing},
                                  {"steps", kSteps},
                                  {"mean", kMean},
                                  {"std", kStd}};
  const Outcome python = run_program({TRAINYARD_PYTHON, TRAINYARD_SOURCE_DIR "/tests/parity/training_step.py",
                                      dir / "input.safetensors", dir / "output.safetensors", options.dump()});
  ASSERT_EQ(python.exit_code, 0) << python.output;
  std::map<std::string, at::Tensor> expected;
  for (auto& [name, tensor] : load_safetensors(dir / "output.safetensors")) expected[name] = tensor;

  const auto optimizer = make_optimizer(config, *model);
  const TrainConfig train{.label_smoothing = GetParam().label_smoothing};
  TrainStep step(*model, *optimizer, train);
  const Normalize normalize({kMean}, {kStd}, at::kCPU);
  for (int i = 0; i < kSteps; ++i) {
    const TrainStep::Result result =
        step({.images = normalize(pixels), .labels = labels, .number = i, .count = 16}, config.lr);
    EXPECT_NEAR(result.loss.item<double>(), expected.at("losses")[i].item<double>(), 1e-5) << "step " << i;
  }
  for (const auto& [name, tensor] : state_dict(*model)) {
    EXPECT_TRUE(at::allclose(tensor, expected.at("model." + name), /*rtol=*/1e-5, /*atol=*/1e-5)) << name;
  }
}

// AdamW's eps is large here: with 1e-8 a gradient of nearly zero, whose sign is rounding, moves a weight by lr.
INSTANTIATE_TEST_SUITE_P(
    Parity, TrainingStep,
    testing::Values(
        Case{"plain_sgd", {.name = "sgd", .lr = 0.05, .momentum = 0, .nesterov = false, .weight_decay = 0}, 0},
        Case{"sgd_with_momentum", {.name = "sgd", .lr = 0.05, .momentum = 0.9, .nesterov = false}, 0},
        Case{"sgd_with_nesterov", {.name = "sgd", .lr = 0.05, .momentum = 0.9, .nesterov = true}, 0.1},
        Case{"adamw", {.name = "adamw", .lr = 1e-3, .weight_decay = 0.05, .eps = 1e-3}, 0.1}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace trainyard
