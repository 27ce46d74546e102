#include "training/forward.h"

#include <array>
#include <cmath>

#include <gmock/gmock.h>

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>

#include "support/error_of.h"
#include "support/image_task.h"
#include "util/error.h"

namespace trainyard {
namespace {

constexpr ImageShape shape{.channels = 3, .height = 16, .width = 16};

std::unique_ptr<Task> segmentation_task() {
  TaskData data = image_data(shape, 3);
  data.fields[1] = {.name = "mask", .shape = {16, 16}, .values = ValueRange{.count = 3}};
  return make_task(configured("--task.name segmentation").task, data, at::kCPU);
}

TEST(Forward, ConvertsToFloat32UnlessTheTaskTakesHalfPrecision) {
  at::manual_seed(1);
  const std::unique_ptr<Task> image = image_task(shape);
  const std::shared_ptr<Model> convnet = make_model({.name = "convnet"}, image->model_input());
  const TensorDict images = {{"image", at::rand({5, 3, 16, 16})}};
  EXPECT_EQ(forward(*convnet, *image, images, Precision::bf16).at("logits").scalar_type(), at::kFloat);

  TaskData text;
  text.fields = {{.name = "tokens", .dtype = DType::int32, .shape = {17}, .values = ValueRange{.count = 50}}};
  const std::unique_ptr<Task> language = make_task({.name = "language_model"}, text, at::kCPU);
  const std::shared_ptr<Model> gpt = make_model({.name = "gpt"}, language->model_input());
  const at::Tensor tokens = at::randint(0, 50, {3, 17}, at::kLong);
  const TensorDict batch = {{"tokens", tokens.narrow(1, 0, 16)}, {"target", tokens.narrow(1, 1, 16)}};
  const TensorDict outputs = forward(*gpt, *language, batch, Precision::bf16);
  EXPECT_EQ(outputs.at("logits").scalar_type(), at::kBFloat16);
  const Loss loss = language->loss(outputs, batch, Phase::train);
  const Loss converted = language->loss({{"logits", outputs.at("logits").to(at::kFloat)}}, batch, Phase::train);
  EXPECT_EQ(loss.sum.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(loss.sum, converted.sum));
}

TEST(Prepare, RoundsImagesAsTheModelsFirstProductWould) {
  at::manual_seed(1);
  const std::unique_ptr<Task> task = image_task(shape);
  const std::shared_ptr<Model> model = make_model({.name = "convnet"}, task->model_input());
  DeviceBatch raw{.fields = {}, .number = 0, .count = 5};
  raw.fields.push_back({.name = "image", .data = at::randint(0, 256, {5, 16, 16, 3}, at::kByte)});
  const TensorDict whole = prepare(*task, raw, Precision::fp32);
  const TensorDict rounded = prepare(*task, raw, Precision::bf16);
  EXPECT_EQ(whole.at("image").scalar_type(), at::kFloat);
  EXPECT_EQ(rounded.at("image").scalar_type(), at::kBFloat16);
  const auto logits = [&](const TensorDict& batch) {
    return forward(*model, *task, batch, Precision::bf16).at("logits");
  };
  EXPECT_TRUE(at::equal(logits(rounded), logits(whole)));
}

TEST(AreFinite, ForOutputsOfAnyShape) {
  const at::Tensor numbers = at::zeros({3});
  numbers[1] = NAN;
  const at::Tensor scores = at::zeros({3, 2, 2});
  scores[2][1][0] = INFINITY;
  const auto finite = [](const TensorDict& outputs) {
    const at::Tensor found = are_finite(outputs, 3);
    return std::array{found[0].item<bool>(), found[1].item<bool>(), found[2].item<bool>()};
  };
  EXPECT_EQ(finite({{"logits", numbers}}), (std::array{true, false, true}));
  EXPECT_EQ(finite({{"logits", numbers}, {"scores", scores}}), (std::array{true, false, false}));
  EXPECT_EQ(finite({{"logits", scores}, {"balance", at::full({}, 1)}}), (std::array{true, true, false}));
  EXPECT_EQ(finite({{"logits", scores}, {"balance", at::full({}, NAN)}}), (std::array{false, false, false}));
}

TEST(ForwardMirrored, IsTheMeanOfTheScoresOfImageAndMirrorImage) {
  at::manual_seed(1);
  const std::unique_ptr<Task> task = image_task(shape);
  const std::shared_ptr<Model> model = make_model({.name = "convnet"}, task->model_input());
  model->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor images = at::rand({5, 3, 16, 16});
  const auto logits_of = [&](const at::Tensor& image) { return model->forward({{"image", image}}).at("logits"); };
  const at::Tensor found = forward_mirrored(*model, *task, {{"image", images}}, Precision::fp32).at("logits");
  EXPECT_TRUE(at::equal(found, (logits_of(images) + logits_of(images.flip({3}))) / 2));
  EXPECT_FALSE(at::equal(found, logits_of(images)));
}

TEST(ForwardMirrored, RefusesSamplesThatAreNotImages) {
  TaskData data;
  data.fields = {{.name = "numeric", .dtype = DType::float32, .shape = {3}}, label_field(2)};
  data.class_names = {"a", "b"};
  const std::unique_ptr<Task> task = make_task({.name = "classification"}, data, at::kCPU);
  const std::shared_ptr<Model> model = make_model({.name = "mlp"}, task->model_input());
  const TensorDict batch = {{"numeric", at::rand({5, 3})}};
  EXPECT_THAT(error_of<UsageError>([&] { forward_mirrored(*model, *task, batch, Precision::fp32); }),
              testing::HasSubstr("no use for mirrored images; leave --mirror out"));
}

TEST(ForwardMirrored, MirrorsTheScoresOfPixelsBack) {
  at::manual_seed(1);
  const std::unique_ptr<Task> task = segmentation_task();
  const std::shared_ptr<Model> model =
      make_model(configured("--model.name unet --model.unet.width 4 --model.unet.depth 2").model, task->model_input());
  model->eval();
  const at::NoGradGuard no_grad;
  const TensorDict batch = {{"image", at::rand({2, 3, 16, 16})}};
  const TensorDict mirrored = {{"image", batch.at("image").flip({3})}};
  const at::Tensor found = forward_mirrored(*model, *task, batch, Precision::fp32).at("logits");
  const at::Tensor of_mirrored = forward_mirrored(*model, *task, mirrored, Precision::fp32).at("logits");
  EXPECT_TRUE(at::allclose(of_mirrored.flip({3}), found, 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(of_mirrored, found, 1e-5, 1e-6));
}

}  // namespace
}  // namespace trainyard
