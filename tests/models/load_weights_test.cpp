#include <gmock/gmock.h>

#include "models/layers.h"
#include "models/model_module.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// Its last layer is not called as head() says.
struct Misnamed : ModelModule {
  Misnamed() : last(register_module("last", torch::nn::Linear(2, 3))) {}
  TensorDict forward(const TensorDict& batch) override { return {{"logits", last(batch.at("numeric"))}}; }
  torch::nn::Linear last;
};

TEST(ResetHead, IsRefusedIfTheModelHasNoModuleOfThatName) {
  Misnamed model;
  const NamedTensors state = Misnamed().state_dict();
  load_weights(model, state, /*reset_head=*/false, "w.safetensors");
  EXPECT_THAT(error_of<UsageError>([&] { load_weights(model, state, /*reset_head=*/true, "w.safetensors"); }),
              testing::HasSubstr("[model.reset_head] the model has no parameters in 'fc'"));
}

/// What loading the weights of a ResNet-18, as published, into a model for `image` says.
std::string refusal_of_resnet18(const std::string& flags, const ImageShape& image) {
  const ModelInput published = image_input({.channels = 3, .height = 64, .width = 64}, 10);
  const NamedTensors state = make_model({.name = "resnet18"}, published)->state_dict();
  const auto model = make_model(configured("--model.name resnet18 " + flags).model, image_input(image, 10));
  return error_of<RunError>([&] { load_weights(*model, state, /*reset_head=*/false, "w.safetensors"); });
}

TEST(WeightsAdvice, NamesTheStemToSet) {
  EXPECT_EQ(refusal_of_resnet18("--model.resnet.stem small", {.channels = 3, .height = 32, .width = 32}),
            "[model.weights] w.safetensors: tensor 'conv1.weight' is [64, 3, 7, 7], the model's is [64, 3, 3, 3]: set "
            "model.resnet.stem to standard");
}

TEST(WeightsAdvice, NamesTheChannelsOfTheImages) {
  EXPECT_THAT(refusal_of_resnet18("", {.channels = 1, .height = 64, .width = 64}),
              testing::HasSubstr("the model's is [64, 1, 7, 7]: the weights are for images of 3 channels; image files "
                                 "have 3 or 1, as data.channels says"));
}

}  // namespace
}  // namespace trainyard
