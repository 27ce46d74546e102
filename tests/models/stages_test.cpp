#include "models/stages.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "models/layers.h"
#include "models/model_inputs.h"
#include "models/model_module.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A registered model for images, texts or tables; GPTs have only two layers.
std::shared_ptr<Model> example_of(const std::string& name) {
  if (name.starts_with("gpt")) {
    return make_model(configured("--model.name " + name + " --model.gpt.layers 2").model, language_input(8, 11));
  }
  if (name == "mlp") return make_model({.name = name}, table_input(5, {{"a", "b"}}, 3));
  const std::string aux = name.starts_with("fcn") ? " --model.fcn.aux true" : "";
  return make_model(configured("--model.name " + name + aux).model,
                    image_input({.channels = 3, .height = 64, .width = 64}, 5));
}

std::string stages_of(const std::string& name) { return names_of(example_of(name)->stages()); }

TEST(Stages, EveryParameterOfEveryRegisteredModelIsOfOne) {
  for (const std::string& name : ModelRegistry::names()) {
    SCOPED_TRACE(name);
    const auto model = example_of(name);
    const std::vector<Stage> stages = model->stages();
    EXPECT_GT(stages.size(), name == "linear" ? 0u : 2u);
    std::vector<int> parameters(stages.size());
    for (const auto& [parameter, tensor] : model->named_parameters()) ++parameters[stage_of(stages, parameter)];
    EXPECT_EQ(std::count(parameters.begin(), parameters.end(), 0), 0) << "a stage without parameters";
  }
}

TEST(Stages, AreInForwardOrder) {
  EXPECT_EQ(stages_of("convnet"), "conv1, conv2, conv3, conv4, head");
  EXPECT_EQ(stages_of("resnet50"), "stem, layer1, layer2, layer3, layer4, head");
  EXPECT_EQ(stages_of("deeplabv3_resnet18"), "stem, layer1, layer2, layer3, layer4, head");
  EXPECT_EQ(stages_of("convnext_atto"), "stem, stage1, stage2, stage3, stage4, head");
  EXPECT_EQ(stages_of("efficientnet_b0"), "stem, stage1, stage2, stage3, stage4, stage5, stage6, stage7, head");
  EXPECT_EQ(stages_of("unet"), "down0, down1, down2, down3, down4, up3, up2, up1, up0, head");
  EXPECT_EQ(stages_of("mlp"), "embedding, hidden0, hidden1, fc");
  EXPECT_EQ(stages_of("gpt"), "embedding, h.0, h.1, head");
  EXPECT_THAT(stages_of("vit_tiny"), AllOf(testing::StartsWith("embedding, blocks.0, blocks.1, "),
                                           testing::EndsWith(", blocks.10, blocks.11, head")));
}

// A model that does not declare stages.
class Plain : public ModelModule {
 public:
  Plain()
      : scale(register_parameter("scale", at::ones({2}))),
        body(register_module("body", torch::nn::Sequential(torch::nn::Linear(2, 2), torch::nn::Linear(2, 2)))),
        fc(register_module("fc", torch::nn::Linear(2, 2))) {}
  TensorDict forward(const TensorDict& batch) override {
    return {{"logits", fc(body->forward(batch.at("image") * scale))}};
  }

 private:
  at::Tensor scale;
  torch::nn::Sequential body;
  torch::nn::Linear fc;
};

TEST(Stages, AreByDefaultWhatTheModelRegistersItself) {
  Plain model;
  EXPECT_EQ(names_of(static_cast<const Model&>(model).stages()), "scale, body, fc");
  EXPECT_EQ(stage_of(model.stages(), "body.1.weight"), 1u);
}

TEST(Stages, PrefixesAreWholeNames) {
  EXPECT_TRUE(begins_with("layer1.0.conv1.weight", "layer1"));
  EXPECT_TRUE(begins_with("layer1.0.conv1.weight", "layer1.0.conv1.weight"));
  EXPECT_FALSE(begins_with("layer10.weight", "layer1"));
  EXPECT_FALSE(begins_with("layer1", "layer1.0"));
}

TEST(Stages, AParameterOfNoneOrOfTwoIsAnError) {
  const std::vector<Stage> stages = {{.name = "first", .prefixes = {"a", "b"}}, {.name = "last", .prefixes = {"b.c"}}};
  EXPECT_EQ(stage_of(stages, "b.d"), 0u);
  EXPECT_THAT(error_of<RunError>([&] { stage_of(stages, "d"); }),
              HasSubstr("'d' is of 0 stages of the model, first, last: name it in exactly one of stages()"));
  EXPECT_THAT(error_of<RunError>([&] { stage_of(stages, "b.c.weight"); }), HasSubstr("is of 2 stages"));
}

}  // namespace
}  // namespace trainyard
