#include <map>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>

#include "models/model.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const ModelInput image_net = image_input({.channels = 3, .height = 224, .width = 224}, 1000);
const ModelInput small_input = image_input({.channels = 3, .height = 32, .width = 32}, 10);

std::shared_ptr<Model> atto(const std::string& flags, const ModelInput& input) {
  return make_model(configured("--model.name convnext_atto " + flags).model, input);
}

struct Published {
  const char* name;
  std::int64_t parameters;
  double giga;  // multiply-adds
};

class ConvNeXtSize : public testing::TestWithParam<Published> {};

TEST_P(ConvNeXtSize, IsAsPublished) {
  const auto& [name, parameters, giga] = GetParam();
  const auto model = make_model({.name = name}, image_net);
  EXPECT_EQ(parameter_count(*model), parameters);
  EXPECT_NEAR(static_cast<double>(multiply_adds(*model, image_net)) / 1e9, giga, 0.001);
}

// From torchvision's documentation; timm's are counted by torch.utils.flop_counter, as its tables are rounded.
INSTANTIATE_TEST_SUITE_P(
    ConvNeXt, ConvNeXtSize,
    testing::Values(Published{"convnext_atto", 3'695'520, 0.547}, Published{"convnext_femto", 5'217'784, 0.780},
                    Published{"convnext_pico", 9'045'672, 1.367}, Published{"convnext_nano", 15'593'560, 2.446},
                    Published{"convnext_tiny", 28'589'128, 4.456}, Published{"convnext_small", 50'223'688, 8.684},
                    Published{"convnext_base", 88'591'464, 15.355}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(ConvNeXt, ParameterNamesAndShapesAreTorchvisions) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& [name, tensor] : make_model({.name = "convnext_atto"}, image_net)->state_dict()) {
    shapes[name] = tensor.sizes().vec();
  }
  EXPECT_EQ(shapes.size(), 4 + 12 * 9 + 3 * 4 + 4);
  const std::map<std::string, std::vector<std::int64_t>> some = {
      {"features.0.0.weight", {40, 3, 4, 4}},      {"features.0.1.bias", {40}},
      {"features.1.0.layer_scale", {40, 1, 1}},    {"features.1.0.block.0.weight", {40, 1, 7, 7}},
      {"features.1.1.block.0.bias", {40}},         {"features.2.0.weight", {40}},
      {"features.2.1.weight", {80, 40, 2, 2}},     {"features.5.5.block.2.weight", {160}},
      {"features.5.5.block.3.weight", {640, 160}}, {"features.7.1.block.5.weight", {320, 1280}},
      {"features.7.1.block.5.bias", {320}},        {"classifier.0.weight", {320}},
      {"classifier.2.weight", {1000, 320}},        {"classifier.2.bias", {1000}}};
  for (const auto& [name, shape] : some) {
    ASSERT_TRUE(shapes.contains(name)) << name;
    EXPECT_EQ(shapes.at(name), shape) << name;
  }
}

TEST(ConvNeXt, InitialDistributionsAreTorchvisions) {
  at::manual_seed(1);
  const auto model = make_model({.name = "convnext_atto"}, image_net);
  for (const char* name : {"features.7.0.block.3.weight", "features.6.1.weight", "classifier.2.weight"}) {
    const at::Tensor tensor = tensor_of(*model, name);
    EXPECT_NEAR(tensor.std().item<double>(), 0.02, 5e-4) << name;
    EXPECT_NEAR(tensor.mean().item<double>(), 0, 5e-4) << name;
  }
  for (const auto& [name, tensor] : model->named_parameters()) {
    if (name.ends_with("bias")) {
      EXPECT_TRUE(tensor.eq(0).all().item<bool>()) << name;
    } else if (name.ends_with("layer_scale")) {
      EXPECT_TRUE(tensor.eq(1e-6F).all().item<bool>()) << name;
    }
  }
}

TEST(ConvNeXt, ResetsOnlyTheLastLayer) {
  const auto model = make_model({.name = "convnext_atto"}, small_input);
  EXPECT_TRUE(model->is_of_head("classifier.2.weight"));
  EXPECT_FALSE(model->is_of_head("classifier.0.weight"));
}

TEST(ConvNeXt, RefusesTimmsOtherArchitecturesByName) {
  const auto model = make_model({.name = "convnext_atto"}, small_input);
  const auto refusal_with = [&](const std::vector<std::string>& more, const std::string& dropped = "") {
    NamedTensors state = model->state_dict();
    std::erase_if(state, [&](const auto& entry) { return entry.first == dropped; });
    for (const std::string& name : more) state.emplace_back(name, at::zeros({40}));
    return error_of<RunError>([&] { load_weights(*model, state, /*reset_head=*/false, "w.safetensors"); });
  };
  EXPECT_THAT(refusal_with({"stem.2.weight", "stem.2.bias"}),
              StartsWith("[model.weights] w.safetensors: they are the weights of a ConvNeXt with an overlapping stem "
                         "(timm's convnext_*_ols), which this model does not implement: choose others; "));
  EXPECT_THAT(refusal_with({"norm_pre.weight"}, "classifier.0.weight"), HasSubstr("normalizes before it pools"));
  EXPECT_THAT(refusal_with({"stages.0.blocks.0.mlp.grn.weight"}), HasSubstr("of a ConvNeXt V2 "));
  EXPECT_THAT(refusal_with({}, "features.0.1.bias"), HasSubstr("norms of another kind"));
  EXPECT_THAT(refusal_with({"score.weight"}), Not(HasSubstr("they are the weights of")));
}

TEST(ConvNeXt, EveryParameterHasAGradient) {
  at::manual_seed(1);
  const auto model = atto("--model.convnext.patch_size 2", small_input);
  model->forward({{"image", at::randn({2, 3, 32, 32})}}).at("logits").square().sum().backward();
  for (const auto& [name, parameter] : model->named_parameters()) {
    ASSERT_TRUE(parameter.grad().defined()) << name;
    EXPECT_TRUE(parameter.grad().isfinite().all().item<bool>()) << name;
    EXPECT_GT(parameter.grad().abs().max().item<double>(), 0) << name;
  }
}

TEST(ConvNeXt, MemoryFormatDoesNotChangeTheScores) {
  at::manual_seed(1);
  const auto model = atto("", small_input);
  for (at::Tensor& parameter : model->parameters()) parameter.data().normal_(0, 0.3);
  const at::Tensor images = at::randn({2, 3, 32, 32});
  const at::Tensor expected = model->forward({{"image", images}}).at("logits");
  EXPECT_EQ(expected.sizes(), (std::vector<std::int64_t>{2, 10}));
  const at::Tensor logits = model->forward({{"image", images.contiguous(at::MemoryFormat::ChannelsLast)}}).at("logits");
  EXPECT_TRUE(at::allclose(logits, expected, 1e-4, 1e-4));
}

TEST(ConvNeXt, AcceptsPatchesThatDoNotDivideTheImage) {
  const ModelInput input = image_input({.channels = 1, .height = 29, .width = 45}, 10);
  EXPECT_EQ(atto("--model.convnext.patch_size 3", input)
                ->forward({{"image", at::randn({1, 1, 29, 45})}})
                .at("logits")
                .sizes(),
            (std::vector<std::int64_t>{1, 10}));
}

TEST(ConvNeXt, TooFewPatchesAreRefusedWithTheLargestSide) {
  const auto refusal = [](std::int64_t height, std::int64_t width, int patch_size) {
    return error_of<UsageError>([&] {
      atto(fmt::format("--model.convnext.patch_size {}", patch_size),
           image_input({.channels = 1, .height = height, .width = width}, 10));
    });
  };
  EXPECT_THAT(refusal(28, 32, 4), testing::AllOf(StartsWith("[model.convnext.patch_size] 4 makes 7×8 patches"),
                                                 HasSubstr("of 28×32"), HasSubstr("choose at most 3")));
  EXPECT_THAT(refusal(64, 7, 1), HasSubstr("enlarge the images"));
}

}  // namespace
}  // namespace trainyard
