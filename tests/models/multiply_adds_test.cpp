#include <gtest/gtest.h>

#include <ATen/Context.h>

#include "models/freeze.h"
#include "models/model_inputs.h"
#include "support/configured.h"
#include "support/small_model.h"

namespace trainyard {
namespace {

const ModelInput digits = image_input({.channels = 1, .height = 28, .width = 28}, 10);

TEST(TrainingMultiplyAdds, OmitTheGradientOfTheInput) {
  const auto model = make_model({.name = "linear"}, digits);
  EXPECT_EQ(training_multiply_adds(*model, digits), 2 * 28 * 28 * 10) << "forward, and the gradient of the weight";
}

TEST(TrainingMultiplyAdds, AreThoseOfTheForwardPassThreeTimesButForTheFirstConvolution) {
  const ModelInput input = segmentation_input({.channels = 1, .height = 8, .width = 8}, 3);
  const ModelConfig config = configured("--model.name unet --model.unet.width 4 --model.unet.depth 1").model;
  const auto model = make_model(config, input);
  const std::int64_t first = 64 * 9 * 1 * 4;
  EXPECT_EQ(training_multiply_adds(*model, input), 3 * multiply_adds(*model, input) - first)
      << "also with transposed convolutions";
}

TEST(TrainingMultiplyAdds, AreThreeTimesTheForwardPassOfATransformerWithEitherAttention) {
  const ModelInput input = language_input(16, 50);
  const ModelConfig config =
      configured("--model.name gpt --model.gpt.layers 2 --model.gpt.width 32 --model.gpt.heads 4").model;
  const auto model = make_model(config, input);
  const bool was_on = at::globalContext().userEnabledFlashSDP();
  for (const bool flash : {true, false}) {
    at::globalContext().setSDPUseFlash(flash);
    EXPECT_EQ(training_multiply_adds(*model, input), 3 * multiply_adds(*model, input)) << flash;
  }
  at::globalContext().setSDPUseFlash(was_on);
}

TEST(TrainingMultiplyAdds, OmitGradientsOfFrozenWeights) {
  const auto model = small_model();
  std::string flags;
  for (const char* const part : {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "conv4", "bn4"}) {
    flags += std::string(" --model.freeze ") + part;
  }
  freeze(*model, configured(flags).model);
  EXPECT_EQ(training_multiply_adds(*model, digits),
            multiply_adds(*model, digits) + tensor_of(*model, model->head() + ".weight").numel());
}

TEST(TrainingMultiplyAdds, LeaveTheModelAsItWas) {
  const auto model = small_model();
  const at::Tensor before = tensor_of(*model, model->head() + ".weight").clone();
  training_multiply_adds(*model, digits);
  EXPECT_TRUE(model->is_training());
  EXPECT_TRUE(at::equal(tensor_of(*model, model->head() + ".weight"), before));
  for (const at::Tensor& parameter : model->parameters()) EXPECT_FALSE(parameter.grad().defined());
}

}  // namespace
}  // namespace trainyard
