// Compares training steps with PyTorch's, like training_step_test.cpp, for models with scores per pixel, token or table
// row. The loss is cross-entropy; the losses of tasks have their own tests. TRAINYARD_TEST_DEVICE=cuda computes on a
// GPU, also in bf16.

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/promote_types.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "models/model_inputs.h"
#include "optim/optimizer.h"
#include "parity/distances.h"
#include "parity/parity.h"
#include "support/configured.h"
#include "support/temp_dir.h"
#include "training/precision.h"

namespace trainyard {
namespace {

constexpr std::int64_t batch_size = 4;

struct Case {
  const char* name;
  std::string flags;  ///< of model and optimizer
  ModelInput input;
  Precision precision = Precision::fp32;

  Config config() const { return configured(flags); }
};

const ModelInput pixels = segmentation_input({.channels = 3, .height = 16, .width = 24}, 5);
const ModelInput grey_pixels = segmentation_input({.channels = 1, .height = 32, .width = 48}, 5);
const ModelInput tokens = language_input(12, 23);
const ModelInput table = table_input(5, {{"a", "b", "c"}, {"d"}, {"e", "f"}}, 4);

// Learning rates are powers of two: on a GPU ours is a float32 tensor, PyTorch's a float64 number.
const std::string sgd = "--optimizer.name sgd --optimizer.lr 0.0078125 ";
// In deep nets with batch norm over few values, larger steps amplify float64's rounding.
const std::string tiny_sgd = "--optimizer.name sgd --optimizer.lr 2.384185791015625e-07 ";
// eps is large: with 1e-8 a gradient of nearly zero, whose sign is due to rounding, moves a weight by the whole rate.
const std::string adam_w = "--optimizer.name adamw --optimizer.lr 0.0009765625 --optimizer.adamw.eps 1e-3 ";
const std::string unet = "--model.name unet --model.unet.width 8 --model.unet.depth 2 ";
const std::string gpt = "--model.name gpt --model.gpt.layers 2 --model.gpt.heads 2 --model.gpt.width 32 ";

std::vector<Case> cases() {
  std::vector<Case> all = {
      {.name = "unet", .flags = sgd + unet, .input = pixels},
      {.name = "unet_deep", .flags = sgd + "--model.name unet --model.unet.width 4", .input = grey_pixels},
      {.name = "unet_patches", .flags = sgd + unet + "--model.unet.patch 2", .input = pixels},
      {.name = "fcn_resnet18", .flags = tiny_sgd + "--model.name fcn_resnet18 --model.fcn.dropout 0", .input = pixels},
      {.name = "fcn_resnet50",
       .flags = tiny_sgd + "--model.name fcn_resnet50 --model.fcn.dropout 0 --model.fcn.aux true",
       .input = pixels},
      {.name = "deeplabv3_resnet18",
       .flags = tiny_sgd + "--model.name deeplabv3_resnet18 --model.deeplabv3.dropout 0",
       .input = pixels},
      {.name = "linear", .flags = sgd + "--model.name linear --model.linear.patch 3", .input = pixels},
      {.name = "linear_table", .flags = adam_w + "--model.name linear", .input = table},
      {.name = "mlp",
       .flags = adam_w + "--model.name mlp --model.mlp.width 16 --model.mlp.depth 3 --model.mlp.embedding 6",
       .input = table},
      // No decay of norms and biases.
      {.name = "gpt",
       .flags = adam_w + gpt + "--optimizer.weight_decay 5 --optimizer.decay_bias_norm false",
       .input = tokens},
      {.name = "gpt_context", .flags = sgd + gpt + "--model.gpt.context 20", .input = tokens},
  };
  if (device().is_cpu()) return all;
  all.push_back({.name = "unet_bf16", .flags = sgd + unet, .input = pixels, .precision = Precision::bf16});
  all.push_back({.name = "gpt_bf16", .flags = adam_w + gpt, .input = tokens, .precision = Precision::bf16});
  return all;
}

bool is_gpt(const Case& c) { return c.config().model.name == "gpt"; }
bool is_table(const Case& c) { return c.input.fields[0].name == "numeric"; }

nlohmann::json options_of(const Case& c) {
  const Config config = c.config();
  const auto whole = [&](const char* key) { return setting_value<int>(config, key); };
  const std::string& model = config.model.name;
  const bool is_deeplab = model.starts_with("deeplab");
  nlohmann::json options = optimizer_options(c.name, config);
  options.update(nlohmann::json{
      {"model", model},
      {"outputs", c.input.outputs},
      {"width", whole(is_gpt(c)        ? "model.gpt.width"
                      : model == "mlp" ? "model.mlp.width"
                                       : "model.unet.width")},
      {"depth", whole(model == "mlp" ? "model.mlp.depth" : "model.unet.depth")},
      {"patch", whole(model == "linear" ? "model.linear.patch" : "model.unet.patch")},
      {"embedding", whole("model.mlp.embedding")},
      {"layers", whole("model.gpt.layers")},
      {"heads", whole("model.gpt.heads")},
      {"dropout", setting_value<double>(config, is_deeplab ? "model.deeplabv3.dropout" : "model.fcn.dropout")},
      {"aux", setting_value<bool>(config, "model.fcn.aux")},
      {"precision", word(c.precision)},
      {"device", device().str()}});
  if (is_gpt(c)) {
    const int context = whole("model.gpt.context");
    options["context"] = context == 0 ? c.input.logits[0] : context;
  } else if (is_table(c)) {
    options["numbers"] = c.input.fields[0].shape[0];
    options["columns"] = c.input.fields[1].shape[0];
    options["values"] = c.input.fields[1].values->count;
  } else {
    options["channels"] = c.input.image().channels;
  }
  return options;
}

// Both sides of the comparison get the same bits.
std::shared_ptr<Model> fresh_model(const Case& c) {
  at::manual_seed(7);
  return make_model(c.config().model, c.input);
}

struct Batch {
  at::Tensor input, targets;
  at::Tensor categories{};  ///< of a table
};

Batch batch_of(const Case& c) {
  at::manual_seed(8);
  if (is_gpt(c)) {
    const auto words = [&] { return at::randint(0, c.input.outputs, {batch_size, c.input.logits[0]}, at::kLong); };
    return {words(), words()};
  }
  if (is_table(c)) {
    const Field& categorical = c.input.fields[1];
    return {at::randn({batch_size, c.input.fields[0].shape[0]}),
            at::randint(0, c.input.outputs, {batch_size}, at::kLong),
            at::randint(0, categorical.values->count, {batch_size, categorical.shape[0]}, at::kLong)};
  }
  const ImageShape image = c.input.image();
  return {at::randn({batch_size, image.channels, image.height, image.width}),
          at::randint(0, c.input.outputs, {batch_size, image.height, image.width}, at::kLong)};
}

TensorDict prepared(const Case& c, const Batch& batch, at::ScalarType dtype) {
  if (is_gpt(c)) return {{"tokens", batch.input.to(device())}};
  const at::Tensor numbers = batch.input.to(device(), dtype);
  if (is_table(c)) return {{"numeric", numbers}, {"categorical", batch.categories.to(device())}};
  return {{"image", numbers.contiguous(at::MemoryFormat::ChannelsLast)}};
}

TensorDict forward(Model& model, const TensorDict& input, Precision precision) {
  const Autocast autocast(precision, device().type());
  return model.forward(input);
}

at::Tensor loss_of(const TensorDict& outputs, const at::Tensor& targets) {
  at::Tensor loss = at::zeros({}, targets.options().dtype(at::kDouble));
  for (const auto& [name, output] : outputs) {
    at::Tensor scores = output.to(at::promote_types(output.scalar_type(), at::kFloat));
    if (scores.dim() == 3) scores = scores.transpose(1, 2);
    loss = loss + (name == "aux" ? 0.4 : 1.0) * at::cross_entropy_loss(scores, targets);
  }
  return loss;
}

// The names are those of model_steps.py.
Tensors take_steps(const Case& c, at::ScalarType dtype) {
  const Precision precision = dtype == at::kDouble ? Precision::fp32 : c.precision;
  const auto model = fresh_model(c);
  move_to_device(*model, dtype);
  set_float32_arithmetic(precision);
  const auto optimizer = make_optimizer(c.config().optimizer, *model);
  optimizer->set_learning_rate(c.config().optimizer.lr);
  const Batch batch = batch_of(c);
  const TensorDict input = prepared(c, batch, dtype);
  const at::Tensor targets = batch.targets.to(device());
  Tensors result;
  std::vector<double> losses;
  for (int i = 0; i < step_count; ++i) {
    optimizer->zero_grad();
    const TensorDict outputs = forward(*model, input, precision);
    const at::Tensor loss = loss_of(outputs, targets);
    loss.backward();
    if (i == 0) {
      std::vector<at::Tensor> all;
      for (const auto& [name, output] : outputs) all.push_back(output.detach().to(dtype).flatten());
      result["logits"] = at::cat(all);
      for (const auto& [name, tensor] : model->named_parameters()) result["gradient." + name] = tensor.grad().clone();
    }
    optimizer->step();
    losses.push_back(loss.item<double>());
  }
  result["losses"] = at::tensor(losses, at::kDouble);
  for (const auto& [name, tensor] : model->state_dict()) result["model." + name] = tensor;
  return result;
}

void compare(const Case& c, const std::string& stem) {
  Tensors begin;
  for (const auto& [name, tensor] : fresh_model(c)->state_dict()) begin["model." + name] = tensor;
  const Tensors true_numbers = load(stem + ".float64.safetensors");
  const Tensors rounded = load(stem + ".float32.safetensors");
  const Tensors actual = take_steps(c, at::kFloat);
  const Distances mathematics = distances(take_steps(c, at::kDouble), true_numbers, begin);
  const Distances pytorch = distances(rounded, true_numbers, begin);
  const Distances ours = distances(actual, true_numbers, begin);
  fmt::print("{:<18} {}", c.name, word(c.precision));
  for (const auto& [what, d] : {std::pair("float64", mathematics), {"ours", ours}, {"PyTorch's", pytorch}}) {
    fmt::print(", {} {:.0e} {:.0e} {:.0e} {:.0e} {:.0e} {:.0e}", what, d.logits, d.gradients, d.whole_gradient,
               d.losses, d.change, d.whole_change);
  }
  fmt::print("\n");
  EXPECT_LE(std::max(mathematics.logits, mathematics.gradients), 1e-7);
  EXPECT_LE(std::max(mathematics.losses, mathematics.change), 1e-5);
  // In float32 rounding decides on which side of zero a ReLU input near zero is; see training_step_test.cpp.
  const double luck = is_gpt(c) ? 2e-3 : 0.1;
  EXPECT_LE(ours.logits, 4 * pytorch.logits + (is_gpt(c) ? 1e-5 : 1e-3));
  EXPECT_LE(ours.whole_gradient, 4 * pytorch.whole_gradient + luck);
  EXPECT_LE(ours.losses, 4 * pytorch.losses + 2e-2);
  EXPECT_LE(ours.whole_change, 4 * pytorch.whole_change + luck);
  if (c.precision == Precision::fp32) return;
  // Results much closer to float64 would mean a higher precision than requested.
  EXPECT_GE(4 * ours.logits, pytorch.logits);
}

TEST(Parity, ModelsOfPixelsTokensAndTablesTakeTheStepsOfPyTorch) {
  const TempDir dir;
  nlohmann::json options = nlohmann::json::array();
  for (const Case& c : cases()) {
    options.push_back(options_of(c));
    const Batch batch = batch_of(c);
    NamedTensors input = {{"input", batch.input}, {"targets", batch.targets}};
    if (batch.categories.defined()) input.emplace_back("categories", batch.categories);
    for (const auto& [name, tensor] : fresh_model(c)->state_dict()) input.emplace_back("model." + name, tensor);
    save_safetensors(dir / (std::string(c.name) + ".safetensors"), input);
  }
  const Outcome python = run_cases("model_steps.py", dir, options);
  ASSERT_EQ(python.exit_code, 0) << python.output;

  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    compare(c, dir / c.name);
  }
}

}  // namespace
}  // namespace trainyard
