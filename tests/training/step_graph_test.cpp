#include "training/step_graph.h"

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "models/freeze.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_task.h"
#include "training/precision.h"
#include "training/train_step.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

const at::Device gpu(at::kCUDA, 0);
ProcessGroup alone;

TensorDict batch_of(std::int64_t count, at::Device device) {
  return {{"image", at::randn({count, 3, 16, 16}).contiguous(at::MemoryFormat::ChannelsLast).to(device)},
          {"label", at::randint(0, 10, {count}, at::kLong).to(device)}};
}

// A step that only counts its calls.
struct Counter {
  int calls = 0;
  StepResult operator()(const TensorDict& batch, const StepPart&) {
    ++calls;
    return {.loss = batch.at("image").sum(), .sums = {}};
  }
};

TEST(StepGraph, OnTheCpuEveryStepIsTaken) {
  Counter counter;
  StepGraph step(std::ref(counter), alone, at::kCPU, /*enabled=*/true);
  for (int i = 0; i < 10; ++i) step(batch_of(2, at::kCPU), {});
  EXPECT_EQ(counter.calls, 10);
}

class GpuStepGraph : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  }
};

TEST_F(GpuStepGraph, CapturesEachRecurringKindOfStepOnce) {
  Counter counter;
  StepGraph step(std::ref(counter), alone, gpu, /*enabled=*/true);
  for (int i = 0; i < 30; ++i) {
    const TensorDict batch = batch_of(i % 5 == 4 ? 3 : 4, gpu);
    const StepPart part{.last = i % 2 == 0};
    EXPECT_EQ(step(batch, part).loss.item<float>(), batch.at("image").sum().item<float>()) << i;
  }
  // Each of the two kinds of whole batches occurs 12 times, each kind of small ones 3 times. Only the former are
  // captured, with one extra call each.
  EXPECT_EQ(counter.calls, 2 * 4 + 2 * 3);
}

TEST_F(GpuStepGraph, ManyKindsAreNotAllCaptured) {
  Counter counter;
  StepGraph step(std::ref(counter), alone, gpu, /*enabled=*/true);
  constexpr int kinds = 20;
  for (int i = 0; i < 5 * kinds; ++i) {
    const TensorDict batch = batch_of(1 + i % kinds, gpu);
    EXPECT_EQ(step(batch, {}).loss.item<float>(), batch.at("image").sum().item<float>()) << i;
  }
  EXPECT_GT(counter.calls, 4 * kinds);
  EXPECT_LT(counter.calls, 5 * kinds);
}

TEST_F(GpuStepGraph, IsNotCapturedWhereItIsNotWanted) {
  Counter counter;
  StepGraph step(std::ref(counter), alone, gpu, /*enabled=*/false);
  for (int i = 0; i < 10; ++i) step(batch_of(4, gpu), {});
  EXPECT_EQ(counter.calls, 10);
}

TEST_F(GpuStepGraph, IsNotCapturedWhereTheGpuLacksTheMemory) {
  std::vector<at::Tensor> all;
  try {
    for (;;) all.push_back(at::empty({1 << 30}, at::TensorOptions(gpu).dtype(at::kByte)));
  } catch (const c10::OutOfMemoryError&) {
    all.resize(all.size() - 3);  // enough for a step, but not for capturing it
  }
  Counter counter;
  StepGraph step(std::ref(counter), alone, gpu, /*enabled=*/true);
  for (int i = 0; i < 10; ++i) step(batch_of(4, gpu), {});
  EXPECT_EQ(counter.calls, 10);
}

TEST_F(GpuStepGraph, DrawsTheSameGpuRandomNumbersAsWithoutCapture) {
  std::vector<std::vector<float>> drawn(2);
  for (const bool enabled : {false, true}) {
    at::manual_seed(3);
    StepGraph step(
        [](const TensorDict& batch, const StepPart&) {
          return StepResult{.loss = at::rand({7}, batch.at("image").options()).sum(), .sums = {}};
        },
        alone, gpu, enabled);
    const TensorDict batch = {{"image", at::zeros({1}, gpu)}};
    for (int i = 0; i < 8; ++i) drawn[enabled].push_back(step(batch, {}).loss.item<float>());
  }
  EXPECT_EQ(drawn[0], drawn[1]);
  EXPECT_NE(drawn[1][6], drawn[1][7]);
}

TEST_F(GpuStepGraph, RandomNumbersOfTheCpuAreNotFrozen) {
  std::vector<std::vector<float>> drawn(2);
  testing::internal::CaptureStdout();
  for (const bool enabled : {false, true}) {
    at::manual_seed(3);
    StepGraph step(
        [](const TensorDict& batch, const StepPart&) {
          return StepResult{.loss = batch.at("image").sum() + at::rand({1}).item<float>(), .sums = {}};
        },
        alone, gpu, enabled);
    const TensorDict batch = {{"image", at::zeros({1}, gpu)}};
    for (int i = 0; i < 8; ++i) drawn[enabled].push_back(step(batch, {}).loss.item<float>());
  }
  EXPECT_EQ(drawn[0], drawn[1]);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("draws random numbers on the CPU"));
}

TEST_F(GpuStepGraph, WarnsOnlyOnTheRankThatSpeaksForAll) {
  testing::internal::CaptureStdout();
  StepGraph step(
      [](const TensorDict& batch, const StepPart&) {
        return StepResult{.loss = batch.at("image").sum() + at::rand({1}).item<float>(), .sums = {}};
      },
      alone, gpu, /*enabled=*/true, /*warns=*/false);
  for (int i = 0; i < 8; ++i) step({{"image", at::zeros({1}, gpu)}}, {});
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

constexpr const char* small_resnet = "--model.name resnet18 --model.resnet.stem small";

struct Case {
  const char* name;
  const char* model;  ///< flags
  OptimizerConfig optimizer;
  TrainConfig train;
  const char* task = "";  ///< flags
};

class GpuStepGraphWith : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    was_ = at::globalContext().deterministicAlgorithms();
    set_deterministic();
  }
  void TearDown() override {
    at::globalContext().setDeterministicAlgorithms(was_, /*warn_only=*/false);
    at::globalContext().setDeterministicCuDNN(was_);
  }
  bool was_ = false;
};

// Compares losses, sums, weights and the optimizer's state over complete, incomplete and mixed steps.
TEST_P(GpuStepGraphWith, TrainsBitIdenticallyToUncapturedSteps) {
  std::vector<std::vector<at::Tensor>> results(2);
  for (const bool captured : {false, true}) {
    TrainConfig config = GetParam().train;
    config.cuda_graph = captured;
    at::manual_seed(3);
    const auto model =
        make_model(configured(GetParam().model).model, image_input({.channels = 3, .height = 16, .width = 16}, 10));
    freeze(*model, configured(GetParam().model).model);
    model->to(gpu);
    const auto optimizer = make_optimizer(GetParam().optimizer, *model);
    const auto task = image_task({.channels = 3, .height = 16, .width = 16}, GetParam().task, gpu);
    TaskStep with(*model, *optimizer, *task, config);
    TrainStep& step = with.step;
    for (int i = 0; i < 30; ++i) {
      TensorDict batch = batch_of(i % 5 == 4 ? 5 : 16, gpu);
      if (i % 12 == 9) batch.at("image")[2][1][3][3] = config.on_nonfinite == OnNonfinite::skip ? NAN : 0.5;
      task->augment(batch, {.seed = 0, .epoch = 0, .number = static_cast<std::uint64_t>(i)});
      const int place = i % config.accumulate;
      const StepResult result =
          step(batch, 0.01 / (1 + i), {.first = place == 0, .last = place + 1 == config.accumulate});
      for (const at::Tensor& tensor : {result.loss, result.sums}) {
        results[captured].push_back(tensor.cpu());
      }
    }
    for (const auto& [name, tensor] : model->state_dict()) results[captured].push_back(tensor.detach().cpu());
    for (const auto& [name, tensor] : optimizer->state()) results[captured].push_back(tensor.cpu());
    for (const auto& [name, tensor] : step.scaler().state()) results[captured].push_back(tensor.cpu());
  }
  ASSERT_EQ(results[0].size(), results[1].size());
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_TRUE(at::equal(results[0][i].nan_to_num(), results[1][i].nan_to_num()))
        << "tensor " << i << " of " << results[0].size() << ", " << results[0][i].sizes();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Steps, GpuStepGraphWith,
    testing::Values(
        Case{"convnet_sgd", "", {.name = "sgd"}, {}}, Case{"convnet_adamw", "", {.name = "adamw"}, {}},
        Case{"resnet18_bf16_mixed",
             small_resnet,
             {.name = "sgd"},
             {.precision = Precision::bf16},
             "--task.classification.mixup 0.4 --task.classification.cutmix 1"},
        Case{"resnet18_fp16", small_resnet, {.name = "adamw"}, {.precision = Precision::fp16, .clip_grad_norm = 1}},
        Case{"vit_bf16",
             "--model.name vit_tiny --model.vit.patch_size 8",
             {.name = "adamw"},
             {.precision = Precision::bf16, .clip_grad_norm = 1}},
        Case{"resnet18_skips", small_resnet, {.name = "adamw"}, {.on_nonfinite = OnNonfinite::skip}},
        Case{"resnet18_frozen",
             "--model.name resnet18 --model.resnet.stem small --model.freeze_stages 2 --model.freeze layer3",
             {.name = "adamw", .layer_decay = 0.7},
             {.precision = Precision::bf16, .clip_grad_norm = 1}},
        Case{
            "convnet_layer_decay_skips", "", {.name = "lion", .layer_decay = 0.7}, {.on_nonfinite = OnNonfinite::skip}},
        Case{"resnet18_recomputed", small_resnet, {.name = "sgd"}, {.precision = Precision::bf16, .recompute = true}},
        Case{"resnet18_recomputed_skips",
             small_resnet,
             {.name = "adamw"},
             {.on_nonfinite = OnNonfinite::skip, .recompute = true}},
        Case{"vit_drop_path",
             "--model.name vit_tiny --model.vit.patch_size 8 --model.vit.drop_path 0.3",
             {.name = "adamw"},
             {.precision = Precision::bf16}},
        Case{"vit_drop_path_recomputed",
             "--model.name vit_tiny --model.vit.patch_size 8 --model.vit.drop_path 0.3",
             {.name = "adamw", .layer_decay = 0.7},
             {.precision = Precision::fp16, .recompute = true}},
        Case{"convnext_drop_path_recomputed",
             "--model.name convnext_atto --model.convnext.patch_size 2 --model.convnext.drop_path 0.3",
             {.name = "adamw", .layer_decay = 0.7},
             {.precision = Precision::bf16, .recompute = true}},
        Case{"efficientnet_drop_path_recomputed",
             "--model.name efficientnet_b0 --model.efficientnet.stride 1 --model.efficientnet.drop_path 0.3",
             {.name = "adamw"},
             {.precision = Precision::bf16, .recompute = true}},
        Case{"convnet_accumulates", "", {.name = "adamw"}, {.accumulate = 2}},
        Case{"resnet18_accumulates_skips",
             small_resnet,
             {.name = "adamw"},
             {.precision = Precision::fp16, .accumulate = 3, .clip_grad_norm = 1, .on_nonfinite = OnNonfinite::skip}},
        Case{"resnet18_accumulates_clips_values",
             small_resnet,
             {.name = "adamw"},
             {.precision = Precision::fp16, .accumulate = 2, .clip_grad_value = 1e-3}},
        Case{"convnet_lion_skips", "", {.name = "lion"}, {.on_nonfinite = OnNonfinite::skip}}),
    [](const auto& instance) { return std::string(instance.param.name); });

// In a child process, which cannot use the GPU any more.
TEST_F(GpuStepGraph, AStepThatWaitsForTheGpuIsRefusedWithTheRemedy) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto try_to = [] {
    StepGraph step(
        [](const TensorDict& batch, const StepPart&) {
          return StepResult{.loss = batch.at("image") * batch.at("image").sum().item<float>(), .sums = {}};
        },
        alone, gpu, /*enabled=*/true);
    const TensorDict batch = {{"image", at::zeros({1}, gpu)}};
    const std::string error = error_of<RunError>([&] {
      for (int i = 0; i < 8; ++i) step(batch, {});
    });
    std::fputs(error.c_str(), stderr);
    std::exit(error.ends_with("train.cuda_graph = false") ? 0 : 1);
  };
  EXPECT_EXIT(try_to(), testing::ExitedWithCode(0), "cannot be captured in a CUDA graph");
}

}  // namespace
}  // namespace trainyard
