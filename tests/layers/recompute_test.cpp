// Recomputing stages does not change training: bit for bit on the CPU, and with less memory.

#include "layers/recompute.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "models/freeze.h"
#include "models/model_inputs.h"
#include "support/configured.h"
#include "training/memory.h"
#include "training/precision.h"

namespace trainyard {
namespace {

const ModelInput image = image_input({.channels = 3, .height = 16, .width = 16}, 5);
const ModelInput pixels = segmentation_input({.channels = 3, .height = 16, .width = 24}, 5);
const ModelInput tokens = language_input(24, 11);

struct Case {
  const char* name;
  const char* flags;  ///< of the model
  ModelInput input;
  Precision precision = Precision::fp32;
};

struct Results {
  NamedTensors tensors;
  std::int64_t kept;  ///< bytes between the forward and the backward pass
};

// Two forward and backward passes, whose gradients add up.
Results train(const Case& c, at::Device device, bool recomputes) {
  at::manual_seed(5);
  at::set_num_threads(1);
  const Config config = configured(c.flags);
  const auto model = make_model(config.model, c.input);
  freeze(*model, config.model);
  model->to(device);
  const bool is_text = c.input.fields[0].name == "tokens";
  Results results{.tensors = {}, .kept = 0};
  for (int i = 0; i < 2; ++i) {
    const at::Tensor input = is_text ? at::randint(0, 11, {6, 24}, at::kLong).to(device)
                                     : at::randn({6, 3, c.input.image().height, c.input.image().width})
                                           .to(device)
                                           .contiguous(at::MemoryFormat::ChannelsLast);
    const MemoryCount memory(device);
    TensorDict outputs;
    {
      const Recompute recompute(recomputes);
      const Autocast autocast(c.precision, device.type());
      outputs = model->forward({{c.input.fields[0].name, input}});
      EXPECT_EQ(recompute.stages() > 0, recomputes);
    }
    at::Tensor loss = at::zeros({}, device);
    for (const auto& [name, output] : outputs) loss = loss + output.to(at::kFloat).square().mean();
    results.kept = memory.now();
    loss.backward();
    results.tensors.emplace_back("loss", loss.detach().cpu());
  }
  for (const auto& [name, parameter] : model->named_parameters()) {
    if (parameter.grad().defined()) results.tensors.emplace_back("gradient." + name, parameter.grad().cpu());
  }
  for (const auto& [name, tensor] : model->state_dict()) results.tensors.emplace_back(name, tensor.detach().cpu());
  // The random numbers drawn afterwards are the same, too.
  results.tensors.emplace_back("random", at::randn({3}));
  if (device.is_cuda()) results.tensors.emplace_back("random of the GPU", at::empty({3}, device).normal_().cpu());
  return results;
}

void compare(const Case& c, at::Device device) {
  const Results plain = train(c, device, false);
  const Results recomputed = train(c, device, true);
  ASSERT_EQ(plain.tensors.size(), recomputed.tensors.size());
  for (std::size_t i = 0; i < plain.tensors.size(); ++i) {
    EXPECT_EQ(plain.tensors[i].first, recomputed.tensors[i].first);
    EXPECT_TRUE(at::equal(plain.tensors[i].second, recomputed.tensors[i].second)) << plain.tensors[i].first;
  }
  EXPECT_LT(static_cast<double>(recomputed.kept), 0.7 * static_cast<double>(plain.kept));
}

constexpr const char* convnext =
    "--model.name convnext_atto --model.convnext.patch_size 2 --model.convnext.drop_path 0.4";

std::vector<Case> cases() {
  return {{"resnet18", "--model.name resnet18 --model.resnet.stem small", image},
          {"resnet18_frozen", "--model.name resnet18 --model.resnet.stem small --model.freeze layer2", image},
          {"resnet18_bf16", "--model.name resnet18 --model.resnet.stem small", image, Precision::bf16},
          {"vit", "--model.name vit_tiny --model.vit.patch_size 4", image},
          {"vit_drop_path", "--model.name vit_tiny --model.vit.patch_size 4 --model.vit.drop_path 0.4", image},
          {"vit_bf16", "--model.name vit_tiny --model.vit.patch_size 4", image, Precision::bf16},
          {"efficientnet", "--model.name efficientnet_b0 --model.efficientnet.drop_path 0.4", image},
          {"convnext", convnext, image},
          {"convnext_bf16", convnext, image, Precision::bf16},
          {"unet", "--model.name unet --model.unet.width 8 --model.unet.depth 2", pixels},
          {"fcn", "--model.name fcn_resnet18 --model.fcn.aux true", pixels},
          {"gpt", "--model.name gpt --model.gpt.width 32", tokens},
          {"gpt_dropout", "--model.name gpt --model.gpt.width 32 --model.gpt.dropout 0.3 --model.gpt.drop_path 0.3",
           tokens}};
}

class RecomputeOf : public testing::TestWithParam<Case> {};

TEST_P(RecomputeOf, GivesTheSameBitsAndKeepsLess) { compare(GetParam(), at::kCPU); }

TEST_P(RecomputeOf, GivesTheSameBitsAndKeepsLessOnAGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  const bool was = at::globalContext().deterministicAlgorithms();
  set_deterministic();
  compare(GetParam(), at::Device(at::kCUDA, 0));
  at::globalContext().setDeterministicAlgorithms(was, /*warn_only=*/false);
}

INSTANTIATE_TEST_SUITE_P(Models, RecomputeOf, testing::ValuesIn(cases()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace trainyard
