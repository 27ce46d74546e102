#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/randn.h>

#include "models/model.h"
#include "support/configured.h"

namespace trainyard {
namespace {

const ModelInput image_net = image_input({.channels = 3, .height = 224, .width = 224}, 1000);

std::map<std::string, at::Tensor> state_of(const std::string& name, const ModelInput& input) {
  std::map<std::string, at::Tensor> state;
  for (auto& [key, tensor] : make_model({.name = name}, input)->state_dict()) state[key] = tensor;
  return state;
}

TEST(VisionTransformer, SizesAreTimms) {
  EXPECT_EQ(parameter_count(*make_model({.name = "vit_tiny"}, image_net)), 5'717'416);
  EXPECT_EQ(parameter_count(*make_model({.name = "vit_small"}, image_net)), 22'050'664);
}

TEST(VisionTransformer, ParameterNamesAndShapesAreTimms) {
  const auto state = state_of("vit_tiny", image_net);
  EXPECT_EQ(state.size(), 4 + 12 * 12 + 4);
  const std::map<std::string, std::vector<std::int64_t>> some = {{"cls_token", {1, 1, 192}},
                                                                 {"pos_embed", {1, 197, 192}},
                                                                 {"patch_embed.proj.weight", {192, 3, 16, 16}},
                                                                 {"blocks.0.norm1.weight", {192}},
                                                                 {"blocks.0.attn.qkv.weight", {576, 192}},
                                                                 {"blocks.0.attn.qkv.bias", {576}},
                                                                 {"blocks.11.attn.proj.weight", {192, 192}},
                                                                 {"blocks.11.norm2.bias", {192}},
                                                                 {"blocks.11.mlp.fc1.weight", {768, 192}},
                                                                 {"blocks.11.mlp.fc2.bias", {192}},
                                                                 {"norm.weight", {192}},
                                                                 {"head.weight", {1000, 192}},
                                                                 {"head.bias", {1000}}};
  for (const auto& [name, shape] : some) {
    ASSERT_TRUE(state.contains(name)) << name;
    EXPECT_EQ(state.at(name).sizes(), shape) << name;
  }
}

TEST(VisionTransformer, InitialDistributionsAreTimms) {
  at::manual_seed(1);
  const auto state = state_of("vit_small", image_net);
  for (const char* name : {"pos_embed", "blocks.3.attn.qkv.weight", "blocks.3.mlp.fc2.weight", "head.weight"}) {
    EXPECT_NEAR(state.at(name).std().item<double>(), 0.02, 5e-4) << name;
    EXPECT_NEAR(state.at(name).mean().item<double>(), 0, 5e-4) << name;
  }
  EXPECT_LT(state.at("cls_token").abs().max().item<double>(), 1e-5);
  EXPECT_EQ(state.at("blocks.3.attn.qkv.bias").abs().max().item<double>(), 0);
  // PyTorch's default for convolutions: uniform within 1 / sqrt(inputs).
  EXPECT_NEAR(state.at("patch_embed.proj.weight").max().item<double>(), 1 / std::sqrt(3 * 16 * 16), 1e-4);
}

TEST(VisionTransformer, GivesOneScoreAClassForSmallImagesToo) {
  const auto model = make_model(configured("--model.name vit_tiny --model.vit.patch_size 7").model,
                                image_input({.channels = 1, .height = 28, .width = 28}, 10));
  EXPECT_EQ(model->forward({{"image", at::randn({2, 1, 28, 28})}}).at("logits").sizes(),
            (std::vector<std::int64_t>{2, 10}));
}

TEST(VisionTransformer, APatchThatDoesNotDivideTheImageIsRefused) {
  EXPECT_THROW(make_model({.name = "vit_tiny"}, image_input({.channels = 1, .height = 28, .width = 28}, 10)),
               UsageError);
}

struct Published {
  const char* name;
  double giga;        // from torchvision's and timm's tables
  double spared = 0;  // part of `giga` that is not computed
};

// The last block of a ViT computes its projection and MLP only for the class token, not for the other 196 tokens.
constexpr double spared_with(double width) { return 196 * 9 * width * width / 1e9; }

TEST(MultiplyAdds, AreAsPublished) {
  for (const auto& [name, giga, spared] :
       {Published{"resnet18", 1.81}, Published{"resnet34", 3.66}, Published{"resnet50", 4.09},
        Published{"vit_tiny", 1.26, spared_with(192)}, Published{"vit_small", 4.61, spared_with(384)}}) {
    const auto model = make_model({.name = name}, image_net);
    EXPECT_NEAR(static_cast<double>(multiply_adds(*model, image_net)) / 1e9, giga - spared, 0.02) << name;
  }
}

}  // namespace
}  // namespace trainyard
