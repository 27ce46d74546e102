#include "models/check_forward.h"

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/rand.h>

#include "models/layers.h"
#include "models/model_inputs.h"
#include "models/model_module.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const ModelInput input = image_input({.channels = 1, .height = 8, .width = 8}, 10);

// Two layers; the second expects `features` inputs, the first returns 64 values. Each pass draws a random number.
class TwoLayers : public ModelModule {
 public:
  TwoLayers(std::int64_t features, std::int64_t outputs)
      : hidden(register_module("hidden", torch::nn::Linear(64, 64))),
        head(register_module("head", torch::nn::Linear(features, outputs))) {}

  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor noise = at::rand({1});
    return {{"logits", head(hidden(batch.at("image").flatten(1)) + noise)}};
  }

 private:
  torch::nn::Linear hidden;
  torch::nn::Linear head;
};

bool accepts(const std::string& model, const ModelInput& large) {
  try {
    check_forward(*make_model(configured("--model.name " + model).model, large), large, model);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(CheckForward, FindsTheKindOfTaskThatAModelIsFor) {
  const ImageShape image{.channels = 3, .height = 32, .width = 32};
  for (const std::string& name : ModelRegistry::names()) {
    const int kinds = accepts(name, image_input(image, 7)) + accepts(name, segmentation_input(image, 7)) +
                      accepts(name, language_input(12, 7)) + accepts(name, table_input(5, {{"a", "b"}}, 7));
    EXPECT_EQ(kinds, name == "linear" ? 3 : 1) << name;
  }
  EXPECT_TRUE(accepts("resnet18", image_input(image, 7)));
  EXPECT_TRUE(accepts("unet", segmentation_input(image, 7)));
  EXPECT_TRUE(accepts("gpt", language_input(12, 7)));
}

TEST(CheckForward, NamesTheLayerThatDoesNotFit) {
  TwoLayers model(60, 10);
  EXPECT_THAT(
      error_of<RunError>([&] { check_forward(model, input, "mynet"); }),
      AllOf(HasSubstr("[model] 'mynet' fails on one sample of image (uint8, 8 x 8 x 1)"), HasSubstr("head.weight"),
            HasSubstr("an input of [1, 64]"), HasSubstr("shapes cannot be multiplied")));
}

TEST(CheckForward, NamesTheShapeOfAWrongResult) {
  TwoLayers model(64, 7);
  EXPECT_THAT(error_of<RunError>([&] { check_forward(model, input, "mynet"); }),
              AllOf(HasSubstr("'mynet' returns [1, 7] float as 'logits'"), HasSubstr("[1, 10]")));
}

// A model with a layer that is a member and nothing else, which returns its result under a name of its own.
class Careless : public ModelModule {
 public:
  Careless(std::string reads, std::string returns) : reads_(std::move(reads)), returns_(std::move(returns)) {}
  TensorDict forward(const TensorDict& batch) override {
    return {{returns_, head_(hidden_(batch.at(reads_).flatten(1)))}};
  }

 private:
  std::string reads_;
  std::string returns_;
  torch::nn::Linear hidden_{64, 32};
  torch::nn::Linear head_ = register_module("head", torch::nn::Linear(32, 10));
};

TEST(CheckForward, RefusesALayerThatIsNotRegistered) {
  Careless model("image", "logits");
  const at::NoGradGuard no_grad;  // as where models are made
  EXPECT_THAT(error_of<RunError>([&] { check_forward(model, input, "mynet"); }),
              AllOf(HasSubstr("[model] 'mynet' computes with a parameter of ["), HasSubstr("not registered"),
                    HasSubstr("register_module()")));
}

TEST(CheckForward, NamesWhatIsReturnedInPlaceOfLogits) {
  Careless model("image", "scores");
  EXPECT_THAT(error_of<RunError>([&] { check_forward(model, input, "mynet"); }),
              HasSubstr("'mynet' returns 'scores'; forward() has to return its result as 'logits'"));
}

TEST(CheckForward, NamesTheModelThatReadsAMissingField) {
  Careless model("images", "logits");
  EXPECT_THAT(error_of<RunError>([&] { check_forward(model, input, "mynet"); }),
              AllOf(HasSubstr("[model] 'mynet' fails on one sample"), HasSubstr("there is no 'images' among: image")));
}

TEST(CheckForward, ChangesNothing) {
  const auto model = small_model();
  const at::Tensor mean = tensor_of(*model, "bn1.running_mean").clone();
  at::manual_seed(3);
  const at::Tensor expected = at::rand({4});
  at::manual_seed(3);
  TwoLayers random(64, 10);
  at::manual_seed(3);
  check_forward(random, input, "mynet");
  check_forward(*model, image_input({.channels = 1, .height = 28, .width = 28}, 10), "convnet");
  EXPECT_TRUE(at::equal(at::rand({4}), expected));
  EXPECT_TRUE(model->is_training());
  EXPECT_EQ(failure_on_one_sample(*model, image_input({.channels = 1, .height = 28, .width = 28}, 10)), "");
  EXPECT_TRUE(at::equal(tensor_of(*model, "bn1.running_mean"), mean));
}

TEST(FailureOnOneSample, IsOneValueForEachChannelOfANorm) {
  const auto model = small_model();  // 8 × 8 pixels are reduced to 1 × 1 before the last norm
  EXPECT_THAT(failure_on_one_sample(*model, input), HasSubstr("Expected more than 1 value per channel"));
}

}  // namespace
}  // namespace trainyard
