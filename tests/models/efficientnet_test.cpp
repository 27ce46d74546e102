#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include <ATen/ops/randn.h>

#include "models/model.h"
#include "support/configured.h"
#include "support/small_model.h"

namespace trainyard {
namespace {

ModelInput image_net(std::int64_t side) { return image_input({.channels = 3, .height = side, .width = side}, 1000); }

std::shared_ptr<Model> b0(const std::string& flags, const ModelInput& input) {
  return make_model(configured("--model.name efficientnet_b0 " + flags).model, input);
}

struct Published {
  const char* name;
  std::int64_t side;
  std::int64_t parameters;
  double giga;  // multiply-adds
};

class EfficientNetSize : public testing::TestWithParam<Published> {};

TEST_P(EfficientNetSize, IsAsPublished) {
  const auto& [name, side, parameters, giga] = GetParam();
  const auto model = make_model({.name = name}, image_net(side));
  EXPECT_EQ(parameter_count(*model), parameters);
  EXPECT_NEAR(static_cast<double>(multiply_adds(*model, image_net(side))) / 1e9, giga, 0.001);
}

// From torchvision's documentation.
INSTANTIATE_TEST_SUITE_P(EfficientNet, EfficientNetSize,
                         testing::Values(Published{"efficientnet_b0", 224, 5'288'548, 0.386},
                                         Published{"efficientnet_b1", 240, 7'794'184, 0.687},
                                         Published{"efficientnet_b2", 288, 9'109'994, 1.088},
                                         Published{"efficientnet_b3", 300, 12'233'232, 1.827},
                                         Published{"efficientnet_b4", 380, 19'341'616, 4.394}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(EfficientNet, ParameterNamesAndShapesAreTorchvisions) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& [name, tensor] : b0("", image_net(224))->state_dict()) shapes[name] = tensor.sizes().vec();
  constexpr std::size_t of_conv_norm = 6, of_excitation = 4;
  EXPECT_EQ(shapes.size(), (1 + 2 + 15 * 3 + 1) * of_conv_norm + 16 * of_excitation + 2);
  const std::map<std::string, std::vector<std::int64_t>> some = {{"features.0.0.weight", {32, 3, 3, 3}},
                                                                 {"features.0.1.num_batches_tracked", {}},
                                                                 {"features.1.0.block.0.0.weight", {32, 1, 3, 3}},
                                                                 {"features.1.0.block.1.fc1.weight", {8, 32, 1, 1}},
                                                                 {"features.1.0.block.2.1.running_var", {16}},
                                                                 {"features.2.0.block.0.0.weight", {96, 16, 1, 1}},
                                                                 {"features.3.1.block.1.0.weight", {240, 1, 5, 5}},
                                                                 {"features.6.3.block.2.fc2.bias", {1152}},
                                                                 {"features.7.0.block.3.0.weight", {320, 1152, 1, 1}},
                                                                 {"features.8.0.weight", {1280, 320, 1, 1}},
                                                                 {"classifier.1.weight", {1000, 1280}},
                                                                 {"classifier.1.bias", {1000}}};
  for (const auto& [name, shape] : some) {
    ASSERT_TRUE(shapes.contains(name)) << name;
    EXPECT_EQ(shapes.at(name), shape) << name;
  }
}

TEST(EfficientNet, InitialDistributionsAreTorchvisions) {
  at::manual_seed(1);
  const auto model = b0("", image_net(224));
  EXPECT_NEAR(tensor_of(*model, "features.8.0.weight").std().item<double>(), std::sqrt(2.0 / 1280), 1e-3);
  EXPECT_NEAR(tensor_of(*model, "features.6.1.block.1.0.weight").std().item<double>(), std::sqrt(2.0 / (1152 * 25)),
              3e-4);
  const at::Tensor fc = tensor_of(*model, "classifier.1.weight");
  EXPECT_NEAR(fc.abs().max().item<double>(), 1 / std::sqrt(1000.0), 1e-4);
  EXPECT_NEAR(fc.std().item<double>(), 1 / std::sqrt(3 * 1000.0), 1e-4);
  for (const auto& [name, tensor] : model->named_parameters()) {
    if (!name.ends_with("bias")) continue;
    EXPECT_EQ(tensor.abs().max().item<double>(), 0) << name;
  }
}

TEST(EfficientNet, TakesSmallImagesWithStrideOne) {
  const ModelInput small = image_input({.channels = 1, .height = 28, .width = 28}, 10);
  const auto model = b0("--model.efficientnet.stride 1", small);
  const TensorDict outputs = model->forward({{"image", at::randn({4, 1, 28, 28})}});
  EXPECT_EQ(outputs.at("logits").sizes(), (std::vector<std::int64_t>{4, 10}));
  EXPECT_GT(multiply_adds(*model, small), 3 * multiply_adds(*b0("", small), small));
}

TEST(EfficientNet, DropsOutOnlyInTraining) {
  const ModelInput small = image_input({.channels = 1, .height = 28, .width = 28}, 10);
  const TensorDict batch = {{"image", at::randn({4, 1, 28, 28})}};
  const auto differ = [&](Model& model) {
    return !at::equal(model.forward(batch).at("logits"), model.forward(batch).at("logits"));
  };
  for (const auto& [dropout, drop_path] : {std::pair{"0", "0"}, {"0.9", "0"}, {"0", "0.9"}}) {
    const auto model =
        b0(fmt::format("--model.efficientnet.dropout {} --model.efficientnet.drop_path {}", dropout, drop_path), small);
    model->train();
    EXPECT_EQ(differ(*model), dropout != std::string("0") || drop_path != std::string("0"));
    model->eval();
    EXPECT_FALSE(differ(*model));
  }
}

}  // namespace
}  // namespace trainyard
