#include "training/train_step.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

DeviceBatch random_batch(std::int64_t channels, std::int64_t size) {
  return {.images = at::randn({16, channels, size, size}).contiguous(at::MemoryFormat::ChannelsLast),
          .labels = at::randint(0, 10, {16}, at::kLong),
          .number = 0,
          .count = 16};
}

struct Case {
  const char* model;
  OptimizerConfig optimizer;
};

class OverfitsOneBatch : public testing::TestWithParam<Case> {};

TEST_P(OverfitsOneBatch, ToNoErrorAtAll) {
  at::manual_seed(3);
  const auto model = make_model({.name = GetParam().model, .stem = "small"},
                                {.channels = 1, .height = 16, .width = 16, .classes = 10});
  const auto optimizer = make_optimizer(GetParam().optimizer, *model);
  const TrainConfig config;
  TrainStep step(*model, *optimizer, config);
  const DeviceBatch batch = random_batch(1, 16);
  TrainStep::Result result;
  for (int i = 0; i < 60; ++i) result = step(batch, GetParam().optimizer.lr);
  EXPECT_LT(result.loss.item<double>(), 0.05);
  EXPECT_TRUE(at::equal(result.logits.argmax(1), batch.labels));
}

INSTANTIATE_TEST_SUITE_P(TrainStep, OverfitsOneBatch,
                         testing::Values(Case{"convnet", {.name = "sgd", .lr = 0.1}},
                                         Case{"convnet", {.name = "adamw", .lr = 0.01}},
                                         Case{"resnet18", {.name = "sgd", .lr = 0.02}}),
                         [](const auto& instance) {
                           return std::string(instance.param.model) + "_" + instance.param.optimizer.name;
                         });

TEST(TrainStep, Bf16TrainsCloseToFp32) {
  at::manual_seed(3);
  const DeviceBatch batch = random_batch(1, 28);
  double losses[2];
  for (const bool bf16 : {false, true}) {
    at::manual_seed(4);
    const auto model = make_model({.name = "convnet"}, {.channels = 1, .height = 28, .width = 28, .classes = 10});
    const auto optimizer = make_optimizer({.lr = 0.05}, *model);
    const TrainConfig config{.precision = bf16 ? "bf16" : "fp32"};
    TrainStep step(*model, *optimizer, config);
    for (int i = 0; i < 3; ++i) losses[bf16] = step(batch, 0.05).loss.item<double>();
  }
  EXPECT_NE(losses[0], losses[1]) << "bf16 must really be used";
  EXPECT_NEAR(losses[0], losses[1], 0.05);
}

TEST(Optimizer, StateGoesOnWhereItStopped) {
  for (const char* name : {"sgd", "adamw"}) {
    at::manual_seed(5);
    const DeviceBatch batch = random_batch(1, 28);
    const ModelInput input{.channels = 1, .height = 28, .width = 28, .classes = 10};
    const TrainConfig config;
    const auto model = make_model({.name = "convnet"}, input);
    const auto optimizer = make_optimizer({.name = name, .lr = 0.01}, *model);
    TrainStep step(*model, *optimizer, config);
    step(batch, 0.01);

    const auto copy = make_model({.name = "convnet"}, input);
    load_state_dict(*copy, state_dict(*model), "test");
    const auto copied_optimizer = make_optimizer({.name = name, .lr = 0.01}, *copy);
    copied_optimizer->load_state(optimizer->state());
    TrainStep copied_step(*copy, *copied_optimizer, config);

    step(batch, 0.01);
    copied_step(batch, 0.01);
    for (std::size_t i = 0; i < model->parameters().size(); ++i) {
      EXPECT_TRUE(at::equal(model->parameters()[i], copy->parameters()[i])) << name;
    }
  }
}

TEST(Optimizer, StateOfAnotherOptimizerIsRefused) {
  const ModelInput input{.channels = 1, .height = 28, .width = 28, .classes = 10};
  const auto model = make_model({.name = "convnet"}, input);
  const auto sgd = make_optimizer({.name = "sgd"}, *model);
  const auto adamw = make_optimizer({.name = "adamw"}, *model);
  EXPECT_THROW(adamw->load_state(sgd->state()), RunError);
}

TEST(Optimizer, NesterovWithoutMomentumIsRefused) {
  const auto model = make_model({.name = "convnet"}, {.channels = 1, .height = 28, .width = 28, .classes = 10});
  EXPECT_THROW(make_optimizer({.name = "sgd", .momentum = 0, .nesterov = true}, *model), UsageError);
}

}  // namespace
}  // namespace trainyard
