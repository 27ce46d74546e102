#include "layers/drop_path.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>

#include "models/model_inputs.h"
#include "support/configured.h"
#include "support/small_model.h"

namespace trainyard {
namespace {

TEST(DropPath, RisesLinearlyToTheLastBlock) {
  EXPECT_EQ(drop_path_of_block(0.3, 0, 4), 0);
  EXPECT_DOUBLE_EQ(drop_path_of_block(0.3, 1, 4), 0.1);
  EXPECT_DOUBLE_EQ(drop_path_of_block(0.3, 3, 4), 0.3);
  EXPECT_EQ(drop_path_of_block(0.3, 0, 1), 0);
}

TEST(DropPath, FactorsAreZeroOrKeepTheMean) {
  at::manual_seed(1);
  const at::Tensor factors = drop_path_factors(2, at::zeros({20'000, 3, 5}), 0.2);
  EXPECT_EQ(factors.sizes(), (std::vector<std::int64_t>{2, 20'000, 1, 1}));
  EXPECT_TRUE(at::equal(factors.eq(0).logical_or(factors.eq(1 / 0.8F)), at::ones(factors.sizes(), at::kBool)));
  EXPECT_NEAR(factors.eq(0).to(at::kFloat).mean().item<double>(), 0.2, 0.01);
  EXPECT_FALSE(at::equal(factors[0], factors[1]));
}

TEST(DropPath, DrawsNothingIfItIsZero) {
  const at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
  const at::Tensor before = generator.get_state();
  EXPECT_FALSE(drop_path_factors(2, at::zeros({4, 3}), 0).defined());
  EXPECT_TRUE(at::equal(generator.get_state(), before));
}

const ModelInput tokens = language_input(6, 11);
const std::string gpt = "--model.name gpt --model.gpt.layers 2 --model.gpt.heads 2 --model.gpt.width 16 ";

std::shared_ptr<Model> gpt_with(const std::string& flags) {
  at::manual_seed(2);
  return make_model(configured(gpt + flags).model, tokens);
}

// The first of two blocks is never dropped.
TEST(DropPath, DroppedSamplesKeepTheInputOfTheirBlock) {
  constexpr double p = 0.5;
  constexpr std::int64_t samples = 64;
  const TensorDict batch = {{"tokens", at::randint(0, 11, {samples, 6}, at::kLong)}};
  const auto without_last = gpt_with("");
  for (const char* branch : {"attn", "mlp"}) {
    tensor_of(*without_last, fmt::format("transformer.h.1.{}.c_proj.weight", branch)).zero_();
  }
  const at::Tensor expected = without_last->forward(batch).at("logits");

  const auto with_drop_path = gpt_with("--model.gpt.drop_path 0.5");
  at::manual_seed(3);
  const at::Tensor factors = drop_path_factors(2, at::zeros({samples, 6, 16}), p);
  at::manual_seed(3);
  const at::Tensor logits = with_drop_path->forward(batch).at("logits");
  const at::Tensor passed = factors.sum(0).eq(0).flatten();
  ASSERT_GT(passed.sum().item<int>(), 0);
  ASSERT_LT(passed.sum().item<int>(), samples);
  for (std::int64_t i = 0; i < samples; ++i) {
    EXPECT_EQ(at::allclose(logits[i], expected[i], 1e-6, 1e-7), passed[i].item<bool>()) << i;
  }
}

struct Case {
  const char* family;
  std::string flags;
  ModelInput input;
};

class DropPathOf : public testing::TestWithParam<Case> {};

TEST_P(DropPathOf, ActsInTrainingAlone) {
  const auto& [family, flags, input] = GetParam();
  const std::string field = input.fields[0].name;
  const TensorDict batch = {{field, field == "tokens" ? at::randint(0, 11, {4, 6}, at::kLong)
                                                      : at::randint(0, 2, {4, 1, 28, 28}, at::kFloat)}};
  std::vector<at::Tensor> trained;
  std::vector<at::Tensor> evaluated;
  for (const char* p : {"0", "0.9"}) {
    at::manual_seed(2);
    const auto model = make_model(configured(fmt::format("{} --model.{}.drop_path {}", flags, family, p)).model, input);
    for (const auto& [name, parameter] : model->named_parameters()) {
      if (name.ends_with("layer_scale")) parameter.data().fill_(1);  // at first it hides the branches
    }
    trained.push_back(model->forward(batch).at("logits"));
    model->eval();
    evaluated.push_back(model->forward(batch).at("logits"));
  }
  EXPECT_FALSE(at::allclose(trained[0], trained[1]));
  EXPECT_TRUE(at::equal(evaluated[0], evaluated[1]));
}

const ModelInput grey = image_input({.channels = 1, .height = 28, .width = 28}, 10);

INSTANTIATE_TEST_SUITE_P(
    Models, DropPathOf,
    testing::Values(Case{"gpt", gpt, tokens}, Case{"vit", "--model.name vit_tiny --model.vit.patch_size 7", grey},
                    Case{"convnext", "--model.name convnext_atto --model.convnext.patch_size 2", grey}),
    [](const auto& instance) { return std::string(instance.param.family); });

}  // namespace
}  // namespace trainyard
