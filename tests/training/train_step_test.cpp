#include "training/train_step.h"

#include <cmath>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "config/validate.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "models/tensor_fit.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_task.h"
#include "util/error.h"

namespace trainyard {
namespace {

TensorDict random_batch(std::int64_t channels, std::int64_t size) {
  return {{"image", at::randn({16, channels, size, size}).contiguous(at::MemoryFormat::ChannelsLast)},
          {"label", at::randint(0, 10, {16}, at::kLong)}};
}

// The task for images of 28 × 28 × 1 pixels.
const Task& small_task() {
  static const std::unique_ptr<Task> task = image_task({.channels = 1, .height = 28, .width = 28});
  return *task;
}

struct Case {
  const char* name;
  const char* model;  ///< flags
  OptimizerConfig optimizer;
};

class OverfitsOneBatch : public testing::TestWithParam<Case> {};

TEST_P(OverfitsOneBatch, ReachesZeroTrainingError) {
  at::manual_seed(3);
  const auto model =
      make_model(configured(GetParam().model).model, image_input({.channels = 1, .height = 16, .width = 16}, 10));
  const auto optimizer = make_optimizer(GetParam().optimizer, *model);
  const TrainConfig config;
  TaskStep step_with(*model, *optimizer, small_task(), config);
  TrainStep& step = step_with.step;
  const TensorDict batch = random_batch(1, 16);
  StepResult result;
  for (int i = 0; i < 60; ++i) result = step(batch, GetParam().optimizer.lr);
  EXPECT_LT(result.loss.item<double>(), 0.05);
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(model->forward(batch).at("logits").argmax(1), batch.at("label")));
}

INSTANTIATE_TEST_SUITE_P(TrainStep, OverfitsOneBatch,
                         testing::Values(Case{"convnet_sgd", "", {.name = "sgd", .lr = 0.1}},
                                         Case{"convnet_adamw", "", {.name = "adamw", .lr = 0.01}},
                                         Case{"resnet18_sgd",
                                              "--model.name resnet18 --model.resnet.stem small",
                                              {.name = "sgd", .lr = 0.02}}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(TrainStep, Bf16TrainsCloseToFp32) {
  at::manual_seed(3);
  const TensorDict batch = random_batch(1, 28);
  double losses[2];
  for (const bool bf16 : {false, true}) {
    at::manual_seed(4);
    const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
    const auto optimizer = make_optimizer({.lr = 0.05}, *model);
    const TrainConfig config{.precision = bf16 ? Precision::bf16 : Precision::fp32};
    TaskStep step_with(*model, *optimizer, small_task(), config);
    TrainStep& step = step_with.step;
    for (int i = 0; i < 3; ++i) losses[bf16] = step(batch, 0.05).loss.item<double>();
  }
  EXPECT_NE(losses[0], losses[1]) << "bf16 must really be used";
  EXPECT_NEAR(losses[0], losses[1], 0.05);
}

NamedTensors copied(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) result.emplace_back(name, tensor.detach().clone());
  return result;
}

// Compares the weights after a step of one batch with those after a step of three parts.
void expect_that_parts_match_the_whole(const TrainConfig& config) {
  // A net without batch norm, whose statistics would differ between the parts and the whole batch.
  const ModelInput input = image_input({.channels = 1, .height = 16, .width = 16}, 10);
  at::manual_seed(3);
  const TensorDict whole = random_batch(1, 16);
  std::vector<std::shared_ptr<Model>> models;
  for (int i = 0; i < 2; ++i) {
    at::manual_seed(4);
    models.push_back(make_model(configured("--model.name vit_tiny --model.vit.patch_size 8").model, input));
    const auto optimizer = make_optimizer({.name = "sgd", .lr = 0.1}, *models[i]);
    TaskStep step_with(*models[i], *optimizer, small_task(), config);
    TrainStep& step = step_with.step;
    if (i == 0) {
      step(whole, 0.1);
      continue;
    }
    for (const auto& [begin, end] : {std::pair(0, 3), std::pair(3, 13), std::pair(13, 16)}) {
      step({{"image", whole.at("image").slice(0, begin, end)}, {"label", whole.at("label").slice(0, begin, end)}}, 0.1,
           {.first = begin == 0, .last = end == 16});
    }
  }
  for (std::size_t i = 0; i < models[0]->parameters().size(); ++i) {
    EXPECT_TRUE(at::allclose(models[0]->parameters()[i], models[1]->parameters()[i], 1e-4, 1e-5)) << i;
  }
}

TEST(TrainStep, AccumulatedPartsMatchTheWholeBatch) {
  expect_that_parts_match_the_whole({.clip_grad_norm = 1});
  expect_that_parts_match_the_whole({.clip_grad_value = 1e-3});
}

// Returns the largest element of the gradients that the optimizer gets.
double largest_gradient(const TrainConfig& config) {
  at::manual_seed(5);
  const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
  const auto optimizer = make_optimizer({}, *model);
  TaskStep step_with(*model, *optimizer, small_task(), config);
  step_with.step(random_batch(1, 28), 0);
  double largest = 0;
  for (const at::Tensor& parameter : model->parameters()) {
    largest = std::max(largest, parameter.grad().abs().max().item<double>());
  }
  return largest;
}

TEST(TrainStep, EachElementOfTheGradientsIsClippedByValue) {
  for (const Precision precision : {Precision::fp32, Precision::fp16}) {
    EXPECT_GT(largest_gradient({.precision = precision}), 0.01);
    EXPECT_EQ(largest_gradient({.precision = precision, .clip_grad_value = 0.01}), 0.01F);
  }
}

TEST(TrainStep, ALossThatIsNotFiniteChangesNothingWhereItIsToBeSkipped) {
  for (const char* optimizer_name : {"sgd", "adamw", "lion"}) {
    at::manual_seed(5);
    const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
    const auto optimizer = make_optimizer({.name = optimizer_name, .lr = 0.01}, *model);
    const TrainConfig config{.on_nonfinite = OnNonfinite::skip};
    TaskStep step_with(*model, *optimizer, small_task(), config);
    TrainStep& step = step_with.step;
    const TensorDict good = random_batch(1, 28);
    step(good, 0.01);
    const NamedTensors weights = copied(model->state_dict());
    const NamedTensors state = copied(optimizer->state());

    TensorDict bad = random_batch(1, 28);
    bad.at("image")[3][0][5][5] = NAN;
    const StepResult result = step(bad, 0.01);
    EXPECT_TRUE(std::isnan(result.loss.item<double>()));
    EXPECT_TRUE(result.sums.eq(0).all().item<bool>()) << "it counts in no metric";
    for (std::size_t i = 0; i < weights.size(); ++i) {
      EXPECT_TRUE(at::equal(model->state_dict()[i].second, weights[i].second)) << optimizer_name << weights[i].first;
    }
    for (std::size_t i = 0; i < state.size(); ++i) {
      EXPECT_TRUE(at::equal(optimizer->state()[i].second, state[i].second)) << optimizer_name << state[i].first;
    }
    step(good, 0.01);
    EXPECT_FALSE(at::equal(model->state_dict()[0].second, weights[0].second)) << "the next step counts again";
  }
}

TEST(TrainStep, ABatchWhoseLossIsNotFiniteSkipsItsWholeStep) {
  at::manual_seed(5);
  const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
  const auto optimizer = make_optimizer({.lr = 0.01}, *model);
  const TrainConfig config{.on_nonfinite = OnNonfinite::skip};
  TaskStep step_with(*model, *optimizer, small_task(), config);
  TensorDict bad = random_batch(1, 28);
  bad.at("image")[3][0][5][5] = NAN;
  const at::Tensor before = model->parameters()[0].detach().clone();
  step_with.step(bad, 0.01, {.first = true, .last = false});
  step_with.step(random_batch(1, 28), 0.01, {.first = false, .last = true});
  EXPECT_TRUE(at::equal(model->parameters()[0], before));
}

// Its loss is finite, its gradient is not.
class InfiniteGradient : public ModelModule {
 public:
  TensorDict forward(const TensorDict& batch) override {
    return {{"logits", weight_.sqrt().expand({batch.at("image").size(0), 10})}};
  }

 private:
  at::Tensor weight_ = register_parameter("fc", at::zeros({10}));
};

TEST(TrainStep, AnInfiniteGradientIsNotClippedButSkipped) {
  InfiniteGradient model;
  const auto optimizer = make_optimizer({.lr = 0.01}, model);
  const TrainConfig config{.clip_grad_norm = 1, .on_nonfinite = OnNonfinite::skip};
  TaskStep step_with(model, *optimizer, small_task(), config);
  EXPECT_TRUE(std::isfinite(step_with.step(random_batch(1, 28), 0.01).loss.item<double>()));
  EXPECT_TRUE(model.Model::parameters()[0].eq(0).all().item<bool>());
}

TEST(TrainStep, Fp16ThatOverflowsChangesOnlyTheScale) {
  at::manual_seed(5);
  const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
  const auto optimizer = make_optimizer({.name = "adamw", .lr = 0.01}, *model);
  const TrainConfig config{.precision = Precision::fp16};
  TaskStep step_with(*model, *optimizer, small_task(), config);
  TrainStep& step = step_with.step;
  step.scaler().state()[0].second.fill_(1e30);
  const at::Tensor before = model->parameters()[0].detach().clone();
  step(random_batch(1, 28), 0.01);
  EXPECT_TRUE(at::equal(model->parameters()[0], before));
  EXPECT_FLOAT_EQ(step.scaler().state()[0].second.item<float>(), 0.5e30F);
}

TEST(TrainStep, MixedTargetsWeighTheTwoLosses) {
  at::manual_seed(6);
  TensorDict batch = random_batch(1, 28);
  const auto loss_with = [&](const at::Tensor& other, double share) {
    at::manual_seed(7);
    const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
    const auto optimizer = make_optimizer({}, *model);
    const TrainConfig config;
    TensorDict mixed = batch;
    if (other.defined()) {
      mixed.set("other_label", other);
      mixed.set("share", at::scalar_tensor(share));
    }
    return TaskStep(*model, *optimizer, small_task(), config).step(mixed, 0).loss.item<double>();
  };
  const at::Tensor other = batch.at("label").flip(0);
  const double first = loss_with({}, 1);
  const double second = loss_with(other, 0);
  EXPECT_NEAR(loss_with(other, 0.3), 0.3 * first + 0.7 * second, 1e-5);
}

// Two layers, one or both of which get no gradient.
class Detached : public ModelModule {
 public:
  explicit Detached(bool both) : both_(both) {}
  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor logits = head_(body_(batch.at("image").flatten(1)).detach());
    return {{"logits", both_ ? logits.detach() : logits}};
  }

 private:
  bool both_;
  torch::nn::Linear body_ = register_module("body", torch::nn::Linear(28 * 28, 8));
  torch::nn::Linear head_ = register_module("fc", torch::nn::Linear(8, 10));
};

TEST(TrainStep, NamesTheParametersWithoutAGradient) {
  Detached model(/*both=*/false);
  const auto optimizer = make_optimizer({.lr = 0.05}, model);
  const TrainConfig config;
  TaskStep step_with(model, *optimizer, small_task(), config);
  testing::internal::CaptureStdout();  // of the log
  step_with.step(random_batch(1, 28), 0.05);
  step_with.step(random_batch(1, 28), 0.05);
  const std::string log = testing::internal::GetCapturedStdout();
  const std::string warning =
      "2 of the model's parameters have no gradient and stay as they are: body.weight, body.bias";
  EXPECT_THAT(log, testing::HasSubstr(warning));
  EXPECT_EQ(log.find(warning), log.rfind(warning)) << "once";
}

// Notes whether cuDNN's benchmark mode is on.
class NotesBenchmarkMode : public ModelModule {
 public:
  TensorDict forward(const TensorDict& batch) override {
    modes.push_back(at::globalContext().benchmarkCuDNN());
    return {{"logits", fc_(batch.at("image").flatten(1))}};
  }

  std::vector<bool> modes;

 private:
  torch::nn::Linear fc_ = register_module("fc", torch::nn::Linear(28 * 28, 10));
};

TEST(TrainStep, MeasuresTheConvolutionsOfTheLargestBatches) {
  NotesBenchmarkMode model;
  const auto optimizer = make_optimizer({.lr = 0.05}, model);
  const TrainConfig config;
  TaskStep step_with(model, *optimizer, small_task(), config);
  for (const std::int64_t samples : {16, 16, 7, 16}) {
    step_with.step(random_batch(1, 28), 0.05, {.samples = samples});
  }
  at::globalContext().setDeterministicCuDNN(true);
  step_with.step(random_batch(1, 28), 0.05, {.samples = 16});
  at::globalContext().setDeterministicCuDNN(false);
  EXPECT_THAT(model.modes, testing::ElementsAre(true, true, false, true, false));
  EXPECT_FALSE(at::globalContext().benchmarkCuDNN());
}

// Notes whether its scores are still in memory in the backward pass.
class NotesWhetherScoresAreKept : public ModelModule {
 public:
  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor hidden = body_(batch.at("image").flatten(1));
    const at::Tensor logits = head_(hidden);
    hidden.register_hook([this, scores = c10::weak_intrusive_ptr<c10::TensorImpl>(logits.getIntrusivePtr())](
                             const at::Tensor&) { kept.push_back(!scores.expired()); });
    return {{"logits", logits}};
  }

  std::vector<bool> kept;

 private:
  torch::nn::Linear body_ = register_module("body", torch::nn::Linear(28 * 28, 8));
  torch::nn::Linear head_ = register_module("fc", torch::nn::Linear(8, 10));
};

TEST(TrainStep, ReleasesTheScoresBeforeTheBackwardPass) {
  NotesWhetherScoresAreKept model;
  const auto optimizer = make_optimizer({.lr = 0.05}, model);
  const TrainConfig config;
  TaskStep step_with(model, *optimizer, small_task(), config);
  step_with.step(random_batch(1, 28), 0.05);
  EXPECT_THAT(model.kept, testing::ElementsAre(false));
}

TEST(TrainStep, LossWithoutAnyGradientIsRefused) {
  Detached model(/*both=*/true);
  const auto optimizer = make_optimizer({.lr = 0.05}, model);
  const TrainConfig config;
  TaskStep step_with(model, *optimizer, small_task(), config);
  EXPECT_THAT(error_of<RunError>([&] { step_with.step(random_batch(1, 28), 0.05); }),
              testing::HasSubstr("[training] the loss depends on no trained parameter of the model"));
}

TEST(Optimizer, StateGoesOnWhereItStopped) {
  for (const char* name : {"sgd", "adamw", "lion"}) {
    at::manual_seed(5);
    const TensorDict batch = random_batch(1, 28);
    const ModelInput input = image_input({.channels = 1, .height = 28, .width = 28}, 10);
    const TrainConfig config;
    const auto model = make_model({.name = "convnet"}, input);
    const auto optimizer = make_optimizer({.name = name, .lr = 0.01}, *model);
    TaskStep step_with(*model, *optimizer, small_task(), config);
    TrainStep& step = step_with.step;
    step(batch, 0.01);

    const auto copy = make_model({.name = "convnet"}, input);
    load_state_dict(*copy, model->state_dict(), "test");
    const auto copied_optimizer = make_optimizer({.name = name, .lr = 0.01}, *copy);
    TensorFit(copied_optimizer->state(), optimizer->state(), Types::same).copy();
    TaskStep copied_step_with(*copy, *copied_optimizer, small_task(), config);
    TrainStep& copied_step = copied_step_with.step;

    step(batch, 0.01);
    copied_step(batch, 0.01);
    for (std::size_t i = 0; i < model->parameters().size(); ++i) {
      EXPECT_TRUE(at::equal(model->parameters()[i], copy->parameters()[i])) << name;
    }
  }
}

TEST(Optimizer, StateOfAnotherOptimizerIsRefused) {
  const ModelInput input = image_input({.channels = 1, .height = 28, .width = 28}, 10);
  const auto model = make_model({.name = "convnet"}, input);
  const auto sgd = make_optimizer({.name = "sgd"}, *model);
  const auto adamw = make_optimizer({.name = "adamw"}, *model);
  const TensorFit fit(adamw->state(), sgd->state(), Types::same);
  EXPECT_FALSE(fit.whole());
  EXPECT_THAT(fit.problems("the optimizer"), testing::HasSubstr("'exp_avg.conv1.weight' is missing"));
}

TEST(Optimizer, NesterovWithoutMomentumIsRefused) {
  const Config config = configured("--optimizer.sgd.momentum 0");
  EXPECT_THAT(error_of<UsageError>([&] { validate(config); }), testing::StartsWith("[optimizer.sgd.nesterov]"));
}

TEST(TrainStep, RecomputingTakesTheSameStepsBitForBit) {
  for (const char* flags : {"--model.name resnet18 --model.resnet.stem small",
                            "--model.name vit_tiny --model.vit.patch_size 8 --model.vit.drop_path 0.3"}) {
    std::vector<std::vector<at::Tensor>> results(2);
    for (const bool recomputes : {false, true}) {
      at::manual_seed(6);
      const auto model =
          make_model(configured(flags).model, image_input({.channels = 1, .height = 16, .width = 16}, 10));
      const auto optimizer = make_optimizer({.name = "adamw", .lr = 0.01}, *model);
      const TrainConfig config{.on_nonfinite = OnNonfinite::skip, .recompute = recomputes};
      TaskStep with(*model, *optimizer, small_task(), config);
      for (int i = 0; i < 3; ++i) {
        TensorDict batch = random_batch(1, 16);
        if (i == 1) batch.at("image")[3][0][5][5] = NAN;
        results[recomputes].push_back(with.step(batch, 0.01).loss.nan_to_num());
      }
      for (const auto& [name, tensor] : copied(model->state_dict())) results[recomputes].push_back(tensor);
    }
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_TRUE(at::equal(results[0][i], results[1][i])) << flags << " " << i;
    }
  }
}

TEST(TrainStep, RecomputingAModelThatHasNoSuchStagesIsRefused) {
  const auto model = make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 10));
  const auto optimizer = make_optimizer({}, *model);
  const TrainConfig config{.recompute = true};
  TaskStep with(*model, *optimizer, small_task(), config);
  EXPECT_THAT(error_of<UsageError>([&] { with.step(random_batch(1, 28), 0.01); }),
              testing::HasSubstr("[train.recompute] the model has no stages that are recomputed"));
}

}  // namespace
}  // namespace trainyard
