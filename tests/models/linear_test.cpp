// The linear baseline and the MLP, which also accept tables. tests/parity compares their values with PyTorch's.

#include <gmock/gmock.h>

#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>

#include "config/validate.h"
#include "models/model_inputs.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

std::shared_ptr<Model> make(const std::string& flags, const ModelInput& input) {
  return make_model(configured(flags).model, input);
}

using Shape = std::vector<std::int64_t>;

TEST(Linear, ScoresAnImageByAllItsPixels) {
  const auto model = make("--model.name linear", image_input({.channels = 3, .height = 5, .width = 7}, 4));
  EXPECT_EQ(parameter_count(*model), 3 * 5 * 7 * 4 + 4);
  EXPECT_EQ(model->forward({{"image", at::randn({2, 3, 5, 7})}}).at("logits").sizes(), (Shape{2, 4}));
}

TEST(Linear, ScoresAPixelByItsPatch) {
  const auto model = make("--model.name linear --model.linear.patch 3",
                          segmentation_input({.channels = 2, .height = 9, .width = 6}, 4));
  EXPECT_EQ(parameter_count(*model), 2 * 3 * 3 * 4 + 4);
  EXPECT_EQ(model->forward({{"image", at::randn({2, 2, 9, 6})}}).at("logits").sizes(), (Shape{2, 4, 9, 6}));
  EXPECT_THAT(error_of<UsageError>([] { validate(configured("--model.name linear --model.linear.patch 4")); }),
              HasSubstr("4 is even"));
}

TEST(Linear, ScoresARowByItsColumns) {
  const ModelInput input = table_input(3, {{"x", "y"}, {"0"}}, 2);
  const auto model = make("--model.name linear", input);
  EXPECT_EQ(parameter_count(*model), 3 * 2 + 5 * 2 + 2);
  EXPECT_EQ(model->forward(zero_batch(input, 4, at::kCPU)).at("logits").sizes(), (Shape{4, 2}));
  const ModelInput categories{.fields = {input.fields[1]}, .outputs = 2, .logits = {2}};
  EXPECT_EQ(parameter_count(*make("--model.name linear", categories)), 5 * 2 + 2);
}

TEST(Mlp, ReadsNumbersAndCategories) {
  const ModelInput input = table_input(3, {{"x", "y"}, {"0"}}, 2);
  const auto model = make("--model.name mlp --model.mlp.width 7 --model.mlp.depth 2 --model.mlp.embedding 4", input);
  EXPECT_EQ(parameter_count(*model), 5 * 4 + (3 + 2 * 4) * 7 + 7 + 7 * 7 + 7 + 7 * 2 + 2);
  EXPECT_EQ(model->forward(zero_batch(input, 4, at::kCPU)).at("logits").sizes(), (Shape{4, 2}));
}

TEST(Mlp, ACategoryThatTrainDoesNotHaveIsZeros) {
  const ModelInput input = table_input(1, {{"x", "y"}, {"0"}}, 2);
  for (const auto& [name, tensor] : make("--model.name mlp", input)->named_parameters()) {
    if (name != "embedding.weight") continue;
    const at::Tensor is_zero = tensor.eq(0).all(1);
    EXPECT_TRUE(at::equal(is_zero, at::tensor({1, 0, 0, 1, 0}).to(at::kBool)));
    return;
  }
  FAIL() << "there is no embedding";
}

TEST(Mlp, DropsOutWhileTrainingOnly) {
  const ModelInput input = table_input(3, {}, 2);
  const auto model = make("--model.name mlp --model.mlp.dropout 0.5", input);
  const TensorDict batch = {{"numeric", at::ones({1, 3})}};
  const auto logits = [&] { return model->forward(batch).at("logits"); };
  EXPECT_FALSE(at::equal(logits(), logits()));
  model->eval();
  EXPECT_TRUE(at::equal(logits(), logits()));
}

TEST(Mlp, RefusesImages) {
  EXPECT_THAT(error_of<UsageError>([] { make("--model.name mlp", image_input({1, 4, 4}, 2)); }),
              HasSubstr("mlp takes tables, with the field 'numeric' or 'categorical'; samples have image (uint8"));
}

}  // namespace
}  // namespace trainyard
