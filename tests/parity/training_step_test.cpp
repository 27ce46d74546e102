// The same training steps here and in PyTorch, from the same weights on the same batch: each model, each optimizer,
// each precision, and what may happen to gradients and weights on the way. One Python process does all of its half.
// TRAINYARD_TEST_DEVICE=cuda does it on a GPU, in deterministic mode and in tf32 too.

#include <cstdlib>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "checkpoint/safetensors_torch.h"
#include "optim/ema.h"
#include "optim/schedule.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "training/precision.h"
#include "training/train_step.h"

namespace trainyard {
namespace {

constexpr int kSteps = 10;
constexpr std::int64_t kBatch = 8;
constexpr float kMean = 0.286F;
constexpr float kStd = 0.353F;

// How far numbers may be apart: rounding alone in the first step, and what ten steps make of it.
struct Tolerance {
  double first = 1e-4;
  double last = 1e-3;
};

struct Case {
  const char* name;
  ModelConfig model = {.name = "convnet"};
  OptimizerConfig optimizer = {};
  TrainConfig train = {};
  bool one_cycle = false;
  Tolerance tolerance = {};
};

const OptimizerConfig kSgd{.name = "sgd", .lr = 0.01, .momentum = 0.9, .nesterov = true};
// A ResNet's last layers normalise over eight numbers here: larger steps would make rounding grow tenfold in each.
const OptimizerConfig kSmallSgd{.name = "sgd", .lr = 1e-3, .momentum = 0.9, .nesterov = true};
// eps is large: with 1e-8 a gradient of nearly zero, whose sign is rounding, moves a weight by the whole rate.
const OptimizerConfig kAdamW{.name = "adamw", .lr = 1e-3, .weight_decay = 0.05, .eps = 1e-3};

at::Device device() {
  const char* name = std::getenv("TRAINYARD_TEST_DEVICE");
  return at::Device(name == nullptr ? "cpu" : name);
}

std::vector<Case> cases() {
  std::vector<Case> all = {
      {.name = "plain_sgd", .optimizer = {.name = "sgd", .lr = 0.02, .momentum = 0, .nesterov = false}},
      {.name = "momentum", .optimizer = {.name = "sgd", .lr = 0.02, .momentum = 0.9, .nesterov = false}},
      {.name = "nesterov", .optimizer = kSgd, .train = {.label_smoothing = 0.1}},
      {.name = "adamw", .optimizer = kAdamW, .train = {.label_smoothing = 0.1}},
      // The sign of a gradient of nearly zero is rounding too: such a weight ends up to 2 × 10 × lr away.
      {.name = "lion",
       .optimizer = {.name = "lion", .lr = 1e-5, .weight_decay = 0.5, .beta1 = 0.9, .beta2 = 0.99},
       .tolerance = {.last = 2e-3}},
      {.name = "clipped", .optimizer = kSgd, .train = {.clip_grad_norm = 0.1}},
      {.name = "averaged", .optimizer = kSgd, .train = {.ema_decay = 0.9}},
      {.name = "one_cycle", .optimizer = kSgd, .one_cycle = true},
      {.name = "no_decay_on_norms",
       .model = {.name = "vit_tiny", .patch_size = 8},
       .optimizer = {.name = "adamw", .lr = 1e-3, .weight_decay = 5, .decay_bias_norm = false, .eps = 1e-3}},
      {.name = "resnet18", .model = {.name = "resnet18", .stem = "small"}, .optimizer = kSmallSgd},
      {.name = "resnet18_standard", .model = {.name = "resnet18"}, .optimizer = kSmallSgd},
      {.name = "resnet34", .model = {.name = "resnet34"}, .optimizer = kSmallSgd},
      {.name = "resnet50", .model = {.name = "resnet50"}, .optimizer = kSmallSgd},
      {.name = "vit_tiny", .model = {.name = "vit_tiny", .patch_size = 8}, .optimizer = kAdamW},
      {.name = "vit_small", .model = {.name = "vit_small", .patch_size = 16}, .optimizer = kAdamW},
      {.name = "convnet_bf16", .optimizer = kSgd, .train = {.precision = "bf16"}, .tolerance = {2e-2, 2e-2}},
      {.name = "convnet_fp16", .optimizer = kSgd, .train = {.precision = "fp16"}, .tolerance = {2e-3, 1e-2}},
  };
  if (device().is_cpu()) return all;
  // A CPU without bf16 of its own takes minutes for these.
  const std::vector<Case> more = {
      {.name = "resnet18_bf16",
       .model = {.name = "resnet18", .stem = "small"},
       .optimizer = kSmallSgd,
       .train = {.precision = "bf16"},
       .tolerance = {2e-2, 5e-2}},
      {.name = "vit_tiny_bf16",
       .model = {.name = "vit_tiny", .patch_size = 8},
       .optimizer = kAdamW,
       .train = {.precision = "bf16"},
       .tolerance = {2e-2, 2e-2}},
      {.name = "vit_tiny_fp16",
       .model = {.name = "vit_tiny", .patch_size = 8},
       .optimizer = kAdamW,
       .train = {.precision = "fp16"},
       .tolerance = {2e-3, 1e-2}},
      {.name = "resnet18_tf32",
       .model = {.name = "resnet18", .stem = "small"},
       .optimizer = kSmallSgd,
       .train = {.precision = "tf32"},
       .tolerance = {1e-3, 1e-2}},
  };
  all.insert(all.end(), more.begin(), more.end());
  for (Case& c : all) {
    c.tolerance.first *= 5;
    c.tolerance.last *= 5;
  }
  return all;
}

ModelInput input_of(const Case& c) {
  const bool grey = c.model.name == std::string("convnet");
  return {.channels = grey ? 1 : 3, .height = grey ? 28 : 32, .width = grey ? 28 : 32, .classes = 10};
}

nlohmann::json options_of(const Case& c) {
  const ModelInput input = input_of(c);
  const OptimizerConfig& o = c.optimizer;
  return {{"name", c.name},
          {"model", c.model.name},
          {"channels", input.channels},
          {"size", input.height},
          {"small_stem", c.model.stem == "small"},
          {"patch_size", c.model.patch_size},
          {"optimizer", o.name},
          {"lr", o.lr},
          {"eps", o.eps},
          {"beta1", o.beta1},
          {"beta2", o.beta2},
          {"momentum", o.momentum},
          {"nesterov", o.nesterov},
          {"weight_decay", o.weight_decay},
          {"decay_bias_norm", o.decay_bias_norm},
          {"label_smoothing", c.train.label_smoothing},
          {"clip_grad_norm", c.train.clip_grad_norm},
          {"ema_decay", c.train.ema_decay},
          {"precision", c.train.precision},
          {"device", device().str()},
          {"one_cycle", c.one_cycle},
          {"steps", kSteps},
          {"mean", kMean},
          {"std", kStd}};
}

// The same bits on both sides of the comparison.
std::shared_ptr<Model> fresh_model(const Case& c) {
  at::manual_seed(7);
  return make_model(c.model, input_of(c));
}

at::Tensor pixels_of(const Case& c) {
  at::manual_seed(8);
  const ModelInput input = input_of(c);
  return at::randint(0, 256, {kBatch, input.height, input.width, input.channels}, at::kByte);
}

const at::Tensor kLabels = at::arange(kBatch, at::kLong);

// The largest difference, as a share of the largest number, or of `size` where all are smaller: that of single numbers
// says nothing where they cancel, and a bias that has only begun to move has no size of its own.
double distance(const at::Tensor& actual, const at::Tensor& expected, double size) {
  if (expected.numel() == 0) return 0;
  const auto difference = (actual.cpu().to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
  return difference / std::max(expected.to(at::kDouble).abs().max().item<double>(), size);
}

class Comparison {
 public:
  explicit Comparison(const std::string& path) {
    for (auto& [name, tensor] : load_safetensors(path)) expected_[name] = tensor;
  }
  void near(const std::string& name, const at::Tensor& actual, double tolerance, double size = 0.05) {
    const auto found = expected_.find(name);
    ASSERT_NE(found, expected_.end()) << name;
    const double d = distance(actual, found->second, size);
    EXPECT_LE(d, tolerance) << name;
    worst_ = std::max(worst_, d);
  }
  double worst() const { return worst_; }

 private:
  std::map<std::string, at::Tensor> expected_;
  double worst_ = 0;
};

void compare(const Case& c, Comparison& python) {
  const auto model = fresh_model(c);
  const auto average = fresh_model(c);
  model->to(device());
  average->to(device());
  set_float32_arithmetic(c.train.precision);
  const auto optimizer = make_optimizer(c.optimizer, *model);
  Ema ema(*model, *average, c.train.ema_decay);
  TrainStep step(*model, *optimizer, c.train);
  const at::Tensor pixels = pixels_of(c);
  const auto channels = static_cast<std::size_t>(pixels.size(3));
  const Normalize normalize(std::vector(channels, kMean), std::vector(channels, kStd), device());
  const DeviceBatch batch{
      .images = normalize(pixels.to(device())), .labels = kLabels.to(device()), .number = 0, .count = kBatch};
  std::vector<double> losses;
  for (int i = 0; i < kSteps; ++i) {
    const ScheduleConfig schedule{.name = c.one_cycle ? "one_cycle" : "constant"};
    const TrainStep::Result result = step(batch, learning_rate(schedule, c.optimizer.lr, i, kSteps, kSteps));
    ema.update(i + 1);
    losses.push_back(result.loss.item<double>());
    if (i > 0) continue;
    python.near("logits", result.logits, c.tolerance.first);
    for (const auto& item : model->named_parameters()) {
      python.near("gradient." + item.key(), item.value().grad(), 10 * c.tolerance.first, 1e-3);
    }
  }
  python.near("losses", at::tensor(losses, at::kDouble), c.tolerance.last);
  for (const auto& [name, tensor] : state_dict(*model)) python.near("model." + name, tensor, c.tolerance.last);
  for (const auto& [name, tensor] : state_dict(*average)) python.near("ema." + name, tensor, c.tolerance.last);
}

TEST(Parity, ForwardBackwardAndTenStepsGiveWhatPyTorchGives) {
  const TempDir dir;
  nlohmann::json options = nlohmann::json::array();
  for (const Case& c : cases()) {
    options.push_back(options_of(c));
    NamedTensors input = {{"images", pixels_of(c)}, {"labels", kLabels}};
    for (const auto& [name, tensor] : state_dict(*fresh_model(c))) input.emplace_back("model." + name, tensor);
    save_safetensors(dir / (std::string(c.name) + ".safetensors"), input);
  }
  dir.write("cases.json", options.dump());
  // One thread on both sides: sums in the same order, and no two processes that spin for one core.
  at::set_num_threads(1);
  if (device().is_cuda()) set_deterministic();
  const Outcome python =
      run_program({TRAINYARD_PYTHON, TRAINYARD_SOURCE_DIR "/tests/parity/training_step.py", dir.path()},
                  {"OMP_NUM_THREADS=1", "CUBLAS_WORKSPACE_CONFIG=:4096:8"});
  ASSERT_EQ(python.exit_code, 0) << python.output;

  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Comparison expected(dir / (std::string(c.name) + ".expected.safetensors"));
    compare(c, expected);
    fmt::print("{:<20} largest difference {:.1e}\n", c.name, expected.worst());
  }
}

}  // namespace
}  // namespace trainyard
