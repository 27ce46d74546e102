#include <map>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/randn.h>

#include "models/model_inputs.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

const ModelInput small = segmentation_input({.channels = 3, .height = 32, .width = 32}, 21);

std::shared_ptr<Model> make(const std::string& name, const ModelInput& input = small, const std::string& flags = "") {
  return make_model(configured("--model.name " + name + " " + flags).model, input);
}

std::string with_aux(const std::string& name) { return "--model." + name.substr(0, name.find('_')) + ".aux true"; }

std::vector<std::string> names_of(const Model& model) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.state_dict()) names.push_back(name);
  return names;
}

struct Published {
  const char* name;
  std::int64_t parameters;  // from torchvision's documentation, for 21 classes, with aux_classifier
  std::size_t state_entries;
  double giga;  // multiply-adds for 520×520
};

class SegmentationSize : public testing::TestWithParam<Published> {};

TEST_P(SegmentationSize, IsTorchvisions) {
  const auto model = make(GetParam().name, small, with_aux(GetParam().name));
  EXPECT_EQ(parameter_count(*model), GetParam().parameters);
  EXPECT_EQ(model->state_dict().size(), GetParam().state_entries);
}

// A fifth of the side length has a 25th of the pixels in each layer. multiply_adds() also counts the two products that
// resize the scores.
TEST_P(SegmentationSize, TakesTheMultiplyAddsOfTorchvisions) {
  const ModelInput input = segmentation_input({.channels = 3, .height = 104, .width = 104}, 21);
  const auto model = make(GetParam().name, input, with_aux(GetParam().name));
  const double resize = 2 * 21 * (104. * 13 * 13 + 104. * 13 * 104) / 1e9;
  EXPECT_NEAR(25 * (static_cast<double>(multiply_adds(*model, input)) / 1e9 - resize), GetParam().giga, 0.02);
}

INSTANTIATE_TEST_SUITE_P(SegmentationResNet, SegmentationSize,
                         testing::Values(Published{"fcn_resnet50", 35'322'218, 334, 152.72},
                                         Published{"deeplabv3_resnet50", 42'004'074, 370, 178.72}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(SegmentationResNet, TensorNamesAreTorchvisions) {
  EXPECT_THAT(names_of(*make("fcn_resnet50", small, with_aux("fcn"))),
              IsSupersetOf({"backbone.conv1.weight", "backbone.bn1.running_var",
                            "backbone.layer1.0.downsample.0.weight", "backbone.layer4.2.bn3.num_batches_tracked",
                            "classifier.0.weight", "classifier.1.bias", "classifier.4.weight", "classifier.4.bias",
                            "aux_classifier.0.weight", "aux_classifier.1.running_mean", "aux_classifier.4.bias"}));
  EXPECT_THAT(names_of(*make("deeplabv3_resnet50")),
              IsSupersetOf({"classifier.0.convs.0.0.weight", "classifier.0.convs.0.1.running_mean",
                            "classifier.0.convs.3.0.weight", "classifier.0.convs.4.1.weight",
                            "classifier.0.convs.4.2.num_batches_tracked", "classifier.0.project.0.weight",
                            "classifier.0.project.1.bias", "classifier.1.weight", "classifier.2.weight",
                            "classifier.4.weight", "classifier.4.bias"}));
}

TEST(SegmentationResNet, ReturnsScoresOfTheImagesSize) {
  for (const char* name : {"fcn_resnet18", "deeplabv3_resnet18"}) {
    const auto model = make(name);
    const TensorDict outputs = model->forward({{"image", at::randn({2, 3, 33, 47})}});
    EXPECT_EQ(outputs.at("logits").sizes(), (std::vector<std::int64_t>{2, 21, 33, 47})) << name;
    EXPECT_FALSE(outputs.contains("aux")) << name;
    const TensorDict both = make(name, small, with_aux(name))->forward({{"image", at::randn({2, 3, 33, 47})}});
    EXPECT_EQ(both.at("aux").sizes(), (std::vector<std::int64_t>{2, 21, 33, 47})) << name;
  }
}

TEST(SegmentationResNet, DropsFeaturesInTrainingOnly) {
  for (const char* name : {"fcn_resnet18", "deeplabv3_resnet18"}) {
    const auto model = make(name);
    const TensorDict batch{{"image", at::randn({2, 3, 32, 32})}};
    EXPECT_FALSE(at::equal(model->forward(batch).at("logits"), model->forward(batch).at("logits"))) << name;
    model->eval();
    EXPECT_TRUE(at::equal(model->forward(batch).at("logits"), model->forward(batch).at("logits"))) << name;
  }
}

TEST(SegmentationResNet, TakesAClassifiersWeightsForItsBackbone) {
  const auto classifier = make("resnet18", image_input({.channels = 3, .height = 224, .width = 224}, 1000));
  const auto model = make("fcn_resnet18", small, with_aux("fcn"));
  const auto load = [&](bool reset_head) {
    load_weights(*model, classifier->state_dict(), reset_head, "resnet18.safetensors");
  };
  EXPECT_THAT(
      error_of<RunError>([&] { load(/*reset_head=*/false); }),
      AllOf(HasSubstr("it has no classifier.0.weight: give --model.reset_head true"), Not(HasSubstr("backbone"))));
  const at::Tensor head = tensor_of(*model, "classifier.4.weight").clone();
  testing::internal::CaptureStdout();  // of the log
  load(/*reset_head=*/true);
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              HasSubstr("2 of its tensors are ignored, which the model has no use for: fc.weight, fc.bias"));
  EXPECT_TRUE(at::equal(tensor_of(*model, "backbone.conv1.weight"), tensor_of(*classifier, "conv1.weight")));
  EXPECT_TRUE(at::equal(tensor_of(*model, "backbone.layer4.1.bn2.running_var"),
                        tensor_of(*classifier, "layer4.1.bn2.running_var")));
  EXPECT_TRUE(at::equal(tensor_of(*model, "classifier.4.weight"), head));
}

TEST(SegmentationResNet, TakesAWholeModelsWeightsWithAndWithoutAuxClassifier) {
  const auto whole = make("deeplabv3_resnet18", small, with_aux("deeplabv3"));
  const auto same = make("deeplabv3_resnet18", small, with_aux("deeplabv3"));
  load_weights(*same, whole->state_dict(), /*reset_head=*/false, "w.safetensors");
  EXPECT_TRUE(at::equal(tensor_of(*same, "aux_classifier.4.weight"), tensor_of(*whole, "aux_classifier.4.weight")));
  const auto plain = make("deeplabv3_resnet18");
  testing::internal::CaptureStdout();
  load_weights(*plain, whole->state_dict(), /*reset_head=*/false, "w.safetensors");
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("8 of its tensors are ignored"));
  EXPECT_TRUE(at::equal(tensor_of(*plain, "classifier.4.weight"), tensor_of(*whole, "classifier.4.weight")));
}

TEST(SegmentationResNet, ResetHeadDrawsBothHeadsForOtherClasses) {
  const auto source = make("fcn_resnet18", small, with_aux("fcn"));
  const ModelInput other = segmentation_input({.channels = 3, .height = 32, .width = 32}, 5);
  const auto model = make("fcn_resnet18", other, with_aux("fcn"));
  EXPECT_THAT(error_of<RunError>([&] { load_weights(*model, source->state_dict(), false, "w.safetensors"); }),
              HasSubstr("is for 21 classes, the data have 5: give --model.reset_head true"));
  load_weights(*model, source->state_dict(), /*reset_head=*/true, "w.safetensors");
  EXPECT_TRUE(at::equal(tensor_of(*model, "backbone.conv1.weight"), tensor_of(*source, "backbone.conv1.weight")));
}

}  // namespace
}  // namespace trainyard
