#include "optim/optimizer.h"

#include <cmath>

#include <gtest/gtest.h>

#include <torch/nn/modules/linear.h>

namespace trainyard {
namespace {

// A layer whose gradients are all `gradient`.
torch::nn::Linear layer(double gradient) {
  torch::nn::Linear linear(3, 2);
  for (at::Tensor& parameter : linear->parameters()) parameter.mutable_grad() = at::full_like(parameter, gradient);
  return linear;
}

NamedTensors copied(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) result.emplace_back(name, tensor.detach().clone());
  return result;
}

class EachOptimizer : public testing::TestWithParam<const char*> {};

TEST_P(EachOptimizer, ChangesNothingWhereFoundInfIsOne) {
  auto linear = layer(NAN);
  const auto optimizer = make_optimizer({.name = GetParam(), .lr = 0.1}, *linear);
  optimizer->set_learning_rate(0.1);
  const NamedTensors state = copied(optimizer->state());
  const at::Tensor weight = linear->weight.detach().clone();
  optimizer->step(at::ones({1}));
  EXPECT_TRUE(at::equal(linear->weight, weight));
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_TRUE(at::equal(optimizer->state()[i].second, state[i].second)) << state[i].first;
  }
}

TEST_P(EachOptimizer, StepsAsAlwaysWhereFoundInfIsZero) {
  at::manual_seed(1);
  auto plain = layer(0.5);
  at::manual_seed(1);
  auto checked = layer(0.5);
  const auto first = make_optimizer({.name = GetParam(), .lr = 0.1}, *plain);
  const auto second = make_optimizer({.name = GetParam(), .lr = 0.1}, *checked);
  for (const auto& optimizer : {first.get(), second.get()}) optimizer->set_learning_rate(0.1);
  first->step();
  second->step(at::zeros({1}));
  EXPECT_TRUE(at::equal(plain->weight, checked->weight));
}

TEST_P(EachOptimizer, LeavesBiasesUndecayedWhenAsked) {
  for (const bool decays : {true, false}) {
    auto linear = layer(0);
    linear->bias.data().fill_(1);
    linear->weight.data().fill_(1);
    const auto optimizer =
        make_optimizer({.name = GetParam(), .lr = 0.1, .weight_decay = 0.1, .decay_bias_norm = decays}, *linear);
    optimizer->set_learning_rate(0.1);
    optimizer->step();
    EXPECT_LT(linear->weight.max().item<float>(), 1);
    EXPECT_EQ(linear->bias.min().item<float>() == 1, !decays);
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizer, EachOptimizer, testing::Values("sgd", "adamw", "lion"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Lion, MovesEachWeightByTheRate) {
  auto linear = layer(-3);
  const at::Tensor before = linear->weight.detach().clone();
  const auto optimizer = make_optimizer({.name = "lion", .lr = 0.1, .weight_decay = 0}, *linear);
  optimizer->set_learning_rate(0.25);
  optimizer->step();
  EXPECT_TRUE(at::allclose(linear->weight, before + 0.25));
}

}  // namespace
}  // namespace trainyard
