#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/randn.h>

#include "models/model.h"
#include "support/configured.h"

namespace trainyard {
namespace {

using testing::Contains;
using testing::IsSupersetOf;
using testing::Not;

const ModelInput image_net = image_input({.channels = 3, .height = 224, .width = 224}, 1000);
const ModelInput small_input = image_input({.channels = 3, .height = 32, .width = 32}, 10);

std::shared_ptr<Model> make(const std::string& name, const ModelInput& input, const std::string& stem = "standard") {
  return make_model(configured("--model.name " + name + " --model.resnet.stem " + stem).model, input);
}

std::vector<std::string> names_of(const Model& model) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.state_dict()) names.push_back(name);
  return names;
}

struct Published {
  const char* name;
  std::int64_t parameters;  // from torchvision's documentation
  std::size_t state_entries;
};

class ResNetSize : public testing::TestWithParam<Published> {};

TEST_P(ResNetSize, IsTorchvisions) {
  const auto model = make(GetParam().name, image_net);
  EXPECT_EQ(parameter_count(*model), GetParam().parameters);
  EXPECT_EQ(model->state_dict().size(), GetParam().state_entries);
}

INSTANTIATE_TEST_SUITE_P(ResNet, ResNetSize,
                         testing::Values(Published{"resnet18", 11'689'512, 122}, Published{"resnet34", 21'797'672, 218},
                                         Published{"resnet50", 25'557'032, 320}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(ResNet, ParameterNamesAreTorchvisions) {
  EXPECT_THAT(names_of(*make("resnet18", image_net)),
              IsSupersetOf({"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
                            "bn1.num_batches_tracked", "layer1.0.conv1.weight", "layer1.1.bn2.weight",
                            "layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var",
                            "layer4.1.conv2.weight", "fc.weight", "fc.bias"}));
  EXPECT_THAT(names_of(*make("resnet18", image_net)), Not(Contains("layer1.0.downsample.0.weight")));
  EXPECT_THAT(names_of(*make("resnet50", image_net)),
              IsSupersetOf({"layer1.0.downsample.0.weight", "layer1.0.conv3.weight", "layer3.5.bn3.bias"}));
}

TEST(ResNet, BottleneckHasItsStrideInTheThreeByThree) {
  std::map<std::string, at::Tensor> state;
  for (auto& [name, tensor] : make("resnet50", image_net)->state_dict()) state[name] = tensor;
  EXPECT_EQ(state.at("layer2.0.conv1.weight").sizes(), (std::vector<std::int64_t>{128, 256, 1, 1}));
  EXPECT_EQ(state.at("layer2.0.conv2.weight").sizes(), (std::vector<std::int64_t>{128, 128, 3, 3}));
}

TEST(ResNet, GivesOneScoreAClass) {
  for (const char* name : {"resnet18", "resnet50"}) {
    const auto model = make(name, small_input, "small");
    EXPECT_EQ(model->forward({{"image", at::randn({2, 3, 32, 32})}}).at("logits").sizes(),
              (std::vector<std::int64_t>{2, 10}))
        << name;
  }
  EXPECT_EQ(make("resnet18", image_net)->forward({{"image", at::randn({1, 3, 224, 224})}}).at("logits").sizes(),
            (std::vector<std::int64_t>{1, 1000}));
}

TEST(ResNet, SmallStemKeepsTheResolution) {
  std::map<std::string, at::Tensor> state;
  for (auto& [name, tensor] : make("resnet18", small_input, "small")->state_dict()) state[name] = tensor;
  EXPECT_EQ(state.at("conv1.weight").sizes(), (std::vector<std::int64_t>{64, 3, 3, 3}));
}

TEST(ResNet, ConvolutionsStartAsHeNormalOverTheirOutputs) {
  at::manual_seed(1);
  for (const auto& [name, tensor] : make("resnet18", image_net)->state_dict()) {
    if (name != "layer4.0.conv2.weight") continue;
    EXPECT_NEAR(tensor.std().item<double>(), std::sqrt(2.0 / (512 * 9)), 1e-4);
    EXPECT_NEAR(tensor.mean().item<double>(), 0, 1e-4);
  }
}

}  // namespace
}  // namespace trainyard
