#include "optim/optimizer.h"

#include <cmath>

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/full_like.h>

#include "models/stages.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

// Returns a model whose gradients are all `gradient`.
std::shared_ptr<Model> model_with(double gradient) {
  auto model = small_model();
  for (at::Tensor& parameter : model->parameters()) parameter.mutable_grad() = at::full_like(parameter, gradient);
  return model;
}

NamedTensors copied(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) result.emplace_back(name, tensor.detach().clone());
  return result;
}

class EachOptimizer : public testing::TestWithParam<const char*> {};

TEST_P(EachOptimizer, ChangesNothingWhereFoundInfIsOne) {
  const auto model = model_with(NAN);
  const auto optimizer = make_optimizer({.name = GetParam(), .lr = 0.1}, *model);
  optimizer->set_learning_rate(0.1);
  const NamedTensors state = copied(optimizer->state());
  const at::Tensor weight = tensor_of(*model, "fc.weight").clone();
  optimizer->step(at::ones({1}));
  EXPECT_TRUE(at::equal(tensor_of(*model, "fc.weight"), weight));
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_TRUE(at::equal(optimizer->state()[i].second, state[i].second)) << state[i].first;
  }
}

TEST_P(EachOptimizer, StepsAsAlwaysWhereFoundInfIsZero) {
  at::manual_seed(1);
  const auto plain = model_with(0.5);
  at::manual_seed(1);
  const auto checked = model_with(0.5);
  const auto first = make_optimizer({.name = GetParam(), .lr = 0.1}, *plain);
  const auto second = make_optimizer({.name = GetParam(), .lr = 0.1}, *checked);
  for (const auto& optimizer : {first.get(), second.get()}) optimizer->set_learning_rate(0.1);
  first->step();
  second->step(at::zeros({1}));
  EXPECT_TRUE(at::equal(tensor_of(*plain, "fc.weight"), tensor_of(*checked, "fc.weight")));
}

TEST_P(EachOptimizer, LeavesBiasesUndecayedWhenAsked) {
  for (const bool decays : {true, false}) {
    const auto model = model_with(0);
    tensor_of(*model, "fc.bias").fill_(1);
    tensor_of(*model, "fc.weight").fill_(1);
    const auto optimizer =
        make_optimizer({.name = GetParam(), .lr = 0.1, .weight_decay = 0.1, .decay_bias_norm = decays}, *model);
    optimizer->set_learning_rate(0.1);
    optimizer->step();
    EXPECT_LT(tensor_of(*model, "fc.weight").max().item<float>(), 1);
    EXPECT_EQ(tensor_of(*model, "fc.bias").min().item<float>() == 1, !decays);
  }
}

TEST_P(EachOptimizer, LayerDecayScalesTheRateOfEachStage) {
  constexpr double decay = 0.5;
  const auto stepped = [](double layer_decay, double rate) {
    at::manual_seed(1);
    const auto model = model_with(0.5);
    const auto optimizer =
        make_optimizer({.name = GetParam(), .decay_bias_norm = false, .layer_decay = layer_decay}, *model);
    for (const double of_step : {rate, rate / 4}) {
      optimizer->set_learning_rate(of_step);
      optimizer->step();
    }
    return model;
  };
  const auto model = stepped(decay, 0.1);
  const std::vector<Stage> stages = model->stages();
  ASSERT_EQ(stages.size(), 5u);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const auto expected = stepped(1, 0.1 * std::pow(decay, 4 - static_cast<double>(i)));
    for (const auto& [name, parameter] : model->named_parameters()) {
      EXPECT_EQ(at::equal(parameter, tensor_of(*expected, name)), stage_of(stages, name) == i) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizer, EachOptimizer, testing::Values("sgd", "adamw", "lion"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Lion, MovesEachWeightByTheRate) {
  const auto model = model_with(-3);
  const at::Tensor before = tensor_of(*model, "fc.weight").clone();
  const auto optimizer = make_optimizer({.name = "lion", .lr = 0.1, .weight_decay = 0}, *model);
  optimizer->set_learning_rate(0.25);
  optimizer->step();
  EXPECT_TRUE(at::allclose(tensor_of(*model, "fc.weight"), before + 0.25));
}

}  // namespace
}  // namespace trainyard
