// Compares training steps with PyTorch's, from the same weights on the same batch: each model, each optimizer, each
// precision, and what may happen to gradients and weights on the way. One Python process computes all of PyTorch's
// half. TRAINYARD_TEST_DEVICE=cuda runs the test on a GPU, in deterministic mode and also in tf32.
//
// Ten steps amplify rounding by a factor that depends on the processor. So both programs first take them in float64,
// where only the mathematics can differ, and single values are compared; then in the case's precision, where the first
// step is compared value by value, and later steps by quantities that rounding cannot change much: the losses, and the
// change of all weights together. Optimizers are also compared on given gradients, where nothing amplifies rounding.

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/randint.h>

#include "loader_torch/normalize.h"
#include "optim/ema.h"
#include "optim/schedule.h"
#include "parity/distances.h"
#include "parity/parity.h"
#include "support/configured.h"
#include "support/image_task.h"
#include "support/temp_dir.h"
#include "training/forward.h"
#include "training/precision.h"
#include "training/train_step.h"

namespace trainyard {
namespace {

constexpr std::int64_t batch_size = 8;
constexpr float mean_of_pixels = 0.286F;
constexpr float std_of_pixels = 0.353F;

struct Case {
  const char* name;
  std::string flags;  ///< of model and optimizer
  TrainConfig train = {};
  bool one_cycle = false;

  Config config() const { return configured(flags); }
};

// Learning rates are powers of two: on a GPU ours is a float32 tensor, PyTorch's a float64 number.
const std::string large_sgd = "--optimizer.name sgd --optimizer.lr 0.0078125 ";
const std::string small_sgd = "--optimizer.name sgd --optimizer.lr 0.0009765625 ";
// If a ResNet's last layers normalize over eight values, each larger step amplifies float64's rounding a thousandfold.
const std::string tiny_sgd = "--optimizer.name sgd --optimizer.lr 2.384185791015625e-07 ";
// eps is large: with 1e-8 a gradient of nearly zero, whose sign is due to rounding, moves a weight by the whole rate.
const std::string adam_w = "--optimizer.name adamw --optimizer.lr 0.0009765625 --optimizer.adamw.eps 1e-3 ";
const std::string small_decay = "--optimizer.weight_decay 0.05 ";
const std::string smoothing = "--task.classification.label_smoothing 0.1 ";
const std::string small_resnet = "--model.name resnet18 --model.resnet.stem small ";
const std::string small_vit = "--model.name vit_tiny --model.vit.patch_size 8 ";
const std::string small_efficientnet =
    "--model.name efficientnet_b0 --model.efficientnet.stride 1 --model.efficientnet.dropout 0 ";
const std::string small_convnext = "--model.name convnext_atto --model.convnext.patch_size 2 ";

std::vector<Case> cases() {
  std::vector<Case> all = {
      {.name = "plain_sgd",
       .flags = "--optimizer.lr 0.015625 --optimizer.sgd.momentum 0 --optimizer.sgd.nesterov false"},
      {.name = "momentum", .flags = "--optimizer.lr 0.015625 --optimizer.sgd.nesterov false"},
      {.name = "nesterov", .flags = large_sgd + smoothing},
      {.name = "adamw", .flags = adam_w + small_decay + smoothing},
      {.name = "clipped", .flags = large_sgd, .train = {.clip_grad_norm = 0.1}},
      {.name = "clipped_values", .flags = large_sgd, .train = {.clip_grad_value = 0.01}},
      {.name = "averaged", .flags = large_sgd, .train = {.ema_decay = 0.9}},
      {.name = "one_cycle", .flags = large_sgd, .one_cycle = true},
      {.name = "linear", .flags = small_sgd + "--model.name linear"},
      {.name = "resnet18", .flags = small_sgd + small_resnet},
      {.name = "resnet18_standard", .flags = tiny_sgd + "--model.name resnet18"},
      {.name = "resnet34", .flags = tiny_sgd + "--model.name resnet34"},
      {.name = "resnet50", .flags = tiny_sgd + "--model.name resnet50"},
      {.name = "vit_tiny",  // no decay of norms, biases, class token and position embeddings
       .flags = adam_w + "--optimizer.weight_decay 5 --optimizer.decay_bias_norm false " + small_vit},
      {.name = "vit_small", .flags = adam_w + small_decay + "--model.name vit_small"},
      {.name = "convnext_atto", .flags = adam_w + small_decay + small_convnext},
      {.name = "efficientnet_b0", .flags = small_sgd + small_efficientnet},
      {.name = "convnet_bf16", .flags = large_sgd, .train = {.precision = Precision::bf16}},
      {.name = "convnet_fp16", .flags = large_sgd, .train = {.precision = Precision::fp16}},
      {.name = "clipped_fp16", .flags = large_sgd, .train = {.precision = Precision::fp16, .clip_grad_value = 0.01}},
  };
  if (device().is_cpu()) return all;
  // A CPU without bf16 instructions takes minutes for these.
  const std::vector<Case> more = {
      {.name = "resnet18_bf16", .flags = small_sgd + small_resnet, .train = {.precision = Precision::bf16}},
      {.name = "vit_tiny_bf16", .flags = adam_w + small_decay + small_vit, .train = {.precision = Precision::bf16}},
      {.name = "vit_tiny_fp16", .flags = adam_w + small_decay + small_vit, .train = {.precision = Precision::fp16}},
      {.name = "convnext_bf16",
       .flags = adam_w + small_decay + small_convnext,
       .train = {.precision = Precision::bf16}},
      {.name = "resnet18_tf32", .flags = small_sgd + small_resnet, .train = {.precision = Precision::tf32}},
  };
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool is_of(const Case& c, std::string_view family) { return c.config().model.name.starts_with(family); }

bool has_small_stem(const Case& c) { return c.flags.find(small_resnet) != std::string::npos; }

ImageShape image_of(const Case& c) {
  if (c.config().model.name == "convnet") return {.channels = 1, .height = 28, .width = 28};
  const std::int64_t side = has_small_stem(c) ? 16 : 32;
  return {.channels = 3, .height = side, .width = side};
}

nlohmann::json options_of(const Case& c) {
  const ImageShape image = image_of(c);
  const Config config = c.config();
  nlohmann::json options = optimizer_options(c.name, config);
  const char* const patch_size = is_of(c, "convnext") ? "model.convnext.patch_size" : "model.vit.patch_size";
  options.update(
      nlohmann::json{{"model", config.model.name},
                     {"channels", image.channels},
                     {"size", image.height},
                     {"small_stem", has_small_stem(c) || is_of(c, "efficientnet")},
                     {"patch_size", setting_value<int>(config, patch_size)},
                     {"label_smoothing", setting_value<double>(config, "task.classification.label_smoothing")},
                     {"clip_grad_norm", c.train.clip_grad_norm},
                     {"clip_grad_value", c.train.clip_grad_value},
                     {"ema_decay", c.train.ema_decay},
                     {"precision", word(c.train.precision)},
                     {"device", device().str()},
                     {"one_cycle", c.one_cycle},
                     {"mean", mean_of_pixels},
                     {"std", std_of_pixels}});
  return options;
}

// Both sides of the comparison get the same bits.
std::shared_ptr<Model> fresh_model(const Case& c) {
  at::manual_seed(7);
  auto model = make_model(c.config().model, image_input(image_of(c), 10));
  for (const auto& [name, parameter] : model->named_parameters()) {
    if (name.ends_with("layer_scale")) parameter.data().fill_(0.5);  // at first it hides the blocks
  }
  return model;
}

at::Tensor pixels_of(const Case& c) {
  at::manual_seed(8);
  const ImageShape image = image_of(c);
  return at::randint(0, 256, {batch_size, image.height, image.width, image.channels}, at::kByte);
}

const at::Tensor batch_labels = at::arange(batch_size, at::kLong);

at::Tensor normalized(const at::Tensor& pixels, at::ScalarType dtype) {
  if (dtype == at::kDouble) {
    const at::Tensor images = pixels.permute({0, 3, 1, 2}).to(device(), dtype);
    return ((images / 255 - mean_of_pixels) / std_of_pixels).contiguous(at::MemoryFormat::ChannelsLast);
  }
  const auto channels = static_cast<std::size_t>(pixels.size(3));
  return Normalize(std::vector(channels, mean_of_pixels), std::vector(channels, std_of_pixels),
                   device())(pixels.to(device()));
}

// The names are those of training_step.py.
Tensors take_steps(const Case& c, at::ScalarType dtype) {
  TrainConfig train = c.train;
  if (dtype == at::kDouble) train.precision = Precision::fp32;
  const auto model = fresh_model(c);
  const auto average = fresh_model(c);
  move_to_device(*model, dtype);
  move_to_device(*average, dtype);
  set_float32_arithmetic(train.precision);
  const auto optimizer = make_optimizer(c.config().optimizer, *model);
  Ema ema(*model, *average, train.ema_decay);
  const auto task = image_task(image_of(c), c.flags, device());
  TaskStep with(*model, *optimizer, *task, train);
  TrainStep& step = with.step;
  const TensorDict batch = {{"image", normalized(pixels_of(c), dtype)}, {"label", batch_labels.to(device())}};
  const auto untrained = fresh_model(c);
  move_to_device(*untrained, dtype);
  Tensors result = {{"logits", forward(*untrained, *task, batch, train.precision).at("logits").detach()}};
  std::vector<double> losses;
  for (int i = 0; i < step_count; ++i) {
    const ScheduleConfig schedule{.name = c.one_cycle ? "one_cycle" : "constant"};
    const StepResult done = step(batch, learning_rate(schedule, c.config().optimizer.lr, i, step_count, step_count));
    ema.update(i + 1);
    losses.push_back(done.loss.item<double>());
    if (i > 0) continue;
    for (const auto& [name, tensor] : model->named_parameters()) result["gradient." + name] = tensor.grad().clone();
  }
  result["losses"] = at::tensor(losses, at::kDouble);
  for (const auto& [name, tensor] : model->state_dict()) result["model." + name] = tensor;
  for (const auto& [name, tensor] : average->state_dict()) result["ema." + name] = tensor;
  return result;
}

// The distance allowed between two forward passes in a lower precision that round at the same places: a few units in
// the last place.
double rounding_of(Precision precision) {
  if (precision == Precision::bf16) return 2e-2;
  return precision == Precision::fp16 ? 2e-3 : 1e-3;
}

void compare(const Case& c, const std::string& stem) {
  Tensors begin;
  for (const auto& [name, tensor] : fresh_model(c)->state_dict()) {
    begin["model." + name] = begin["ema." + name] = tensor;
  }
  const Tensors true_numbers = load(stem + ".float64.safetensors");
  const Tensors rounded = load(stem + ".float32.safetensors");
  const Tensors actual = take_steps(c, at::kFloat);
  const Distances mathematics = distances(take_steps(c, at::kDouble), true_numbers, begin);
  const Distances pytorch = distances(rounded, true_numbers, begin);
  const Distances ours = distances(actual, true_numbers, begin);
  const Distances between = distances(actual, rounded, begin);
  fmt::print("{:<18} {}", c.name, word(c.train.precision));
  for (const auto& [what, d] :
       {std::pair("float64", mathematics), {"ours", ours}, {"PyTorch's", pytorch}, {"between them", between}}) {
    fmt::print(", {} {:.0e} {:.0e} {:.0e} {:.0e} {:.0e} {:.0e}", what, d.logits, d.gradients, d.whole_gradient,
               d.losses, d.change, d.whole_change);
  }
  fmt::print("\n");
  EXPECT_LE(std::max(mathematics.logits, mathematics.gradients), 1e-7);
  EXPECT_LE(std::max(mathematics.losses, mathematics.change), 1e-5);
  // In float32 rounding decides on which side of zero a ReLU input near zero is, differently in each program. With
  // these small batches a net has few such inputs, so one matters. ViT, ConvNeXt and EfficientNet have no ReLU.
  const bool has_relu = !is_of(c, "vit") && !is_of(c, "convnext") && !is_of(c, "efficientnet");
  const double luck = has_relu ? 0.1 : 2e-3;
  EXPECT_LE(ours.logits, 4 * pytorch.logits + 1e-3);
  EXPECT_LE(ours.whole_gradient, 4 * pytorch.whole_gradient + luck);
  EXPECT_LE(ours.losses, 4 * pytorch.losses + 2e-2);
  EXPECT_LE(ours.whole_change, 4 * pytorch.whole_change + luck);
  if (c.train.precision == Precision::fp32) return;
  // On a GPU our batch norm rounds once, PyTorch's after each of its operators. So the logits are further apart, and
  // the gradients differ at the ReLU inputs described above, too.
  const bool rounds_alike = device().is_cpu() || !has_relu;
  EXPECT_LE(between.logits, (rounds_alike ? 1 : 4) * rounding_of(c.train.precision));
  if (rounds_alike) {
    EXPECT_LE(between.gradients, 10 * rounding_of(c.train.precision));
  }
  // Results much closer to float64 would mean a higher precision than requested.
  EXPECT_GE(4 * ours.logits, pytorch.logits);
}

TEST(Parity, ForwardBackwardAndTenStepsGiveWhatPyTorchGives) {
  const TempDir dir;
  nlohmann::json options = nlohmann::json::array();
  for (const Case& c : cases()) {
    options.push_back(options_of(c));
    NamedTensors input = {{"images", pixels_of(c)}, {"labels", batch_labels}};
    for (const auto& [name, tensor] : fresh_model(c)->state_dict()) input.emplace_back("model." + name, tensor);
    save_safetensors(dir / (std::string(c.name) + ".safetensors"), input);
  }
  if (device().is_cuda()) set_deterministic();
  const Outcome python = run_cases("training_step.py", dir, options);
  ASSERT_EQ(python.exit_code, 0) << python.output;

  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    compare(c, dir / c.name);
  }
}

}  // namespace
}  // namespace trainyard
