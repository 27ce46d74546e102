#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>

#include "models/model.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/small_model.h"
#include "util/error.h"

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

/// Weights of a vit_tiny for images of 64×64 pixels, i.e. 4×4 patches.
class VisionTransformerWeights : public testing::Test {
 protected:
  static ModelInput images(std::int64_t height, std::int64_t width) {
    return image_input({.channels = 3, .height = height, .width = width}, 10);
  }
  // Loads the weights, with `pos_embed` if it is defined, into `model` and returns the log's output.
  std::string load(Model& model, const at::Tensor& pos_embed = {}) const {
    NamedTensors state = source_->state_dict();
    for (auto& [name, tensor] : state) {
      if (name == "pos_embed" && pos_embed.defined()) tensor = pos_embed;
    }
    testing::internal::CaptureStdout();
    load_weights(model, state, /*reset_head=*/false, "w.safetensors");
    return testing::internal::GetCapturedStdout();
  }
  std::string refusal(Model& model, const at::Tensor& pos_embed = {}) const {
    const std::string error = error_of<RunError>([&] { load(model, pos_embed); });
    testing::internal::GetCapturedStdout();
    return error;
  }

  std::shared_ptr<Model> source_ = make_model({.name = "vit_tiny"}, images(64, 64));
};

TEST_F(VisionTransformerWeights, PositionsAreResampledForAnotherImageSizeAndThisIsLogged) {
  const auto model = make_model({.name = "vit_tiny"}, images(32, 96));
  const at::Tensor ramp = at::arange(4, at::kFloat).view({1, 4, 1, 1}).expand({1, 4, 4, 192}).reshape({1, 16, 192});
  const at::Tensor token = at::full({1, 1, 192}, 7.0F);
  EXPECT_THAT(load(*model, at::cat({token, ramp}, 1)),
              testing::HasSubstr("w.safetensors: 'pos_embed' is resampled from 4×4 patches to 2×6"));
  const at::Tensor positions = tensor_of(*model, "pos_embed");
  EXPECT_TRUE(positions.select(1, 0).eq(7).all().item<bool>());
  const at::Tensor rows = positions.narrow(1, 1, 12).view({2, 6, 192});
  EXPECT_TRUE(rows.sub(rows.select(1, 0).unsqueeze(1)).abs().max().item<double>() < 1e-5) << "columns of a row differ";
  // timm.layers.pos_embed.resample_abs_pos_embed(positions, (2, 6))
  EXPECT_NEAR(rows[0][0][0].item<double>(), 0.5868, 1e-4);
  EXPECT_NEAR(rows[1][5][191].item<double>(), 2.4132, 1e-4);
}

TEST_F(VisionTransformerWeights, PositionsOfTheSameImageSizeAreKept) {
  const auto model = make_model({.name = "vit_tiny"}, images(64, 64));
  EXPECT_EQ(load(*model), "");
  EXPECT_TRUE(at::equal(tensor_of(*model, "pos_embed"), tensor_of(*source_, "pos_embed")));
}

TEST_F(VisionTransformerWeights, PositionsThatAreNoSquareGridAreRefused) {
  const auto model = make_model({.name = "vit_tiny"}, images(32, 96));
  EXPECT_THAT(
      refusal(*model, at::zeros({1, 18, 192})),
      testing::AllOf(testing::HasSubstr("'pos_embed' is [1, 18, 192], the model's is [1, 13, 192]: its 17 patches"),
                     testing::HasSubstr("train with images of the size")));
}

TEST_F(VisionTransformerWeights, WeightsOfOtherPatchesOrWidthAreRefusedWithWhatToSet) {
  const auto patches = make_model(configured("--model.name vit_tiny --model.vit.patch_size 8").model, images(32, 32));
  EXPECT_THAT(refusal(*patches), testing::HasSubstr("'patch_embed.proj.weight' is [192, 3, 16, 16], the model's is "
                                                    "[192, 3, 8, 8]: set model.vit.patch_size to 16"));
  const auto wide = make_model({.name = "vit_small"}, images(32, 32));
  EXPECT_THAT(refusal(*wide), testing::HasSubstr("'pos_embed' is [1, 17, 192], the model's is [1, 5, 384]: choose a "
                                                 "model of width 192"));
}

TEST_F(VisionTransformerWeights, CheckpointsAreNotResampled) {
  const auto model = make_model({.name = "vit_tiny"}, images(32, 32));
  EXPECT_THAT(error_of<RunError>([&] { load_state_dict(*model, source_->state_dict(), "step-1"); }),
              testing::HasSubstr("'pos_embed' is [1, 17, 192], the model's is [1, 5, 192]"));
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
