// Fine-tunes a ResNet-18 with weights under torchvision's names on a folder of images, with frozen stages and a
// learning rate per stage. The program does it as a user runs it; PyTorch does the same in float64.

#include <algorithm>
#include <cstring>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/randint.h>

#include "checkpoint/safetensors_torch.h"
#include "parity/distances.h"
#include "support/configured.h"
#include "support/image_files.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

constexpr std::int64_t classes = 3;
constexpr std::int64_t samples_of_class = 4;
constexpr std::int64_t side = 48;

struct Case {
  const char* name;
  std::string flags;                ///< of frozen modules and optimizer
  std::vector<std::string> frozen;  ///< names of modules in torchvision
};

// eps is large, so that the rounding of a gradient moves a weight as little as with SGD: the program computes in
// float32.
std::vector<Case> cases() {
  return {{.name = "frozen_by_name",  // the gradient passes through layer3
           .flags = "--model.freeze layer1 --model.freeze layer3 --optimizer.name sgd --optimizer.lr 0.0001 "
                    "--optimizer.layer_decay 0.7",
           .frozen = {"layer1", "layer3"}},
          {.name = "frozen_stages",
           .flags = "--model.freeze_stages 3 --optimizer.name adamw --optimizer.lr 0.001 --optimizer.adamw.eps 1 "
                    "--optimizer.layer_decay 0.5 --optimizer.weight_decay 0.05 --optimizer.decay_bias_norm false",
           .frozen = {"conv1", "bn1", "layer1", "layer2"}}};
}

Config config_of(const Case& c) { return configured("--model.name resnet18 " + c.flags); }

// N × side × side × 3, ordered by class.
at::Tensor pixels() {
  at::manual_seed(8);
  return at::randint(0, 256, {classes * samples_of_class, side, side, 3}, at::kByte);
}

at::Tensor labels() { return at::arange(classes, at::kLong).repeat_interleave(samples_of_class); }

// Writes photos/train/<class>/<n>.png, and one image of each class to photos/val.
void write_images(const TempDir& dir) {
  const at::Tensor all = pixels();
  for (std::int64_t i = 0; i < all.size(0); ++i) {
    Image image{.height = side, .width = side, .channels = 3, .pixels = std::vector<std::byte>(side * side * 3)};
    std::memcpy(image.pixels.data(), all[i].const_data_ptr(), image.pixels.size());
    const std::string name = fmt::format("{}/{}.png", i / samples_of_class, i % samples_of_class);
    dir.write("photos/train/" + name, png_file(image));
    if (i % samples_of_class == 0) dir.write("photos/val/" + name, png_file(image));
  }
}

// Returns the new head that the program draws with train.seed 0.
NamedTensors new_head(const Case& c) {
  at::manual_seed(0);
  const auto model =
      make_model(config_of(c).model, image_input({.channels = 3, .height = side, .width = side}, classes));
  NamedTensors head;
  for (const auto& [name, tensor] : model->state_dict()) {
    if (model->is_of_head(name)) head.emplace_back(name, tensor);
  }
  return head;
}

nlohmann::json options_of(const Case& c) {
  nlohmann::json options = optimizer_options(c.name, config_of(c));
  options.update({{"layer_decay", config_of(c).optimizer.layer_decay},
                  {"frozen", c.frozen},
                  {"mean", {0.485F, 0.456F, 0.406F}},
                  {"std", {0.229F, 0.224F, 0.225F}}});
  return options;
}

// An epoch is a single step on all images.
Tensors fine_tune(const Case& c, const TempDir& dir, const Tensors& weights) {
  NamedTensors state;
  for (const auto& [name, tensor] : weights) state.emplace_back(name, tensor);
  const std::string file = dir / fmt::format("{}.weights.safetensors", c.name);
  save_safetensors(file, state);
  const std::string command = fmt::format(
      "{} train --data.name image_folder --data.root {} --model.name resnet18 --model.weights {} --model.reset_head "
      "true "
      "{} --schedule.name constant --train.epochs {} --loader.batch_size {} --loader.workers 0 --train.device cpu "
      "--train.threads 1 --run.dir {} --run.name {}",
      TRAINYARD_BINARY, dir / "photos", file, c.flags, step_count, classes * samples_of_class, dir / "runs", c.name);
  std::istringstream stream(command);
  const Outcome outcome = run_program({std::istream_iterator<std::string>(stream), {}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("frozen  "), std::string::npos) << outcome.output;
  return load(dir / fmt::format("runs/{}/checkpoints/last/model.safetensors", c.name));
}

Tensors below(const std::string& prefix, const Tensors& tensors) {
  Tensors result;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) result[name.substr(prefix.size())] = tensor;
  }
  return result;
}

// float32 rounds the weights of norms, which are near 1, by a hundredth of their change; and which side of zero a
// ReLU's input near zero is on, which changes all gradients by less than that, depends on the processor. A wrong rate
// of a stage changes its weights by a third or more.
constexpr double change_tolerance = 0.05;

void compare(const Case& c, const TempDir& dir) {
  const Tensors python = load(dir / fmt::format("{}.float64.safetensors", c.name));
  const Tensors expected = below("model.", python);
  const Tensors begin = below("weights.", python);
  const Tensors actual = fine_tune(c, dir, begin);
  ASSERT_EQ(actual.size(), expected.size());
  double worst = 0;
  double least_change = 1;
  VectorDistance change;
  for (const auto& [name, tensor] : expected) {
    SCOPED_TRACE(name);
    const std::string& parameter = name;
    const bool is_frozen = std::any_of(c.frozen.begin(), c.frozen.end(),
                                       [&](const std::string& module) { return parameter.starts_with(module + "."); });
    if (is_frozen || !tensor.is_floating_point()) {
      EXPECT_TRUE(at::equal(exact(actual.at(name)), exact(tensor)));
      continue;
    }
    const double far = distance(exact(actual.at(name)), exact(tensor), 0);
    EXPECT_LE(far, 1e-3);
    worst = std::max(worst, far);
    if (name.starts_with("fc.")) continue;
    least_change = std::min(least_change, distance(exact(begin.at(name)), exact(tensor), 0));
    VectorDistance own;
    own.add(exact(actual.at(name)) - exact(begin.at(name)), exact(tensor) - exact(begin.at(name)));
    EXPECT_LE(own.value(), change_tolerance);
    change.add(exact(actual.at(name)) - exact(begin.at(name)), exact(tensor) - exact(begin.at(name)));
  }
  fmt::print("{:<18} weights {:.0e}, changed by at least {:.0e}; all changes {:.0e}\n", c.name, worst, least_change,
             change.value());
  EXPECT_LE(change.value(), 1e-4);
}

TEST(Parity, FineTuningGivesTheWeightsThatPyTorchGives) {
  const TempDir dir;
  write_images(dir);
  nlohmann::json options = nlohmann::json::array();
  for (const Case& c : cases()) {
    options.push_back(options_of(c));
    NamedTensors input = new_head(c);
    input.emplace_back("images", pixels());
    input.emplace_back("labels", labels());
    save_safetensors(dir / fmt::format("{}.safetensors", c.name), input);
  }
  const Outcome python = run_cases("fine_tuning.py", dir, options, parity_python());
  ASSERT_EQ(python.exit_code, 0) << python.output;
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    compare(c, dir);
  }
}

}  // namespace
}  // namespace trainyard
