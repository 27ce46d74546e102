// EfficientNet-B0 to -B4 (Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks")
// with the parameter names and initial distributions of torchvision.models.efficientnet.

#include <algorithm>
#include <array>
#include <cmath>

#include <ATen/ops/dropout.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include "config/component.h"
#include "layers/conv_norm.h"
#include "layers/drop_path.h"
#include "layers/global_average_pool.h"
#include "layers/recompute.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "models/resnet_layers.h"

namespace trainyard {
namespace {

struct EfficientNetSettings {
  int stride = 2;
  double dropout = 0.2;
  double drop_path = 0;

  void declare(SettingTable& table) {
    table.add("stride", stride, "of the first convolution; 1 for images of 28 to 64 px", whole(1, 2), Resume::fixed);
    table.add("dropout", dropout,
              "share dropped from the input of the last layer; torchvision: 0.3 for b2 and b3, 0.4 for b4",
              number(0, 0.99), Resume::if_named);
    table.add("drop_path", drop_path, "share of the samples that skip the last block; smaller in earlier blocks",
              number(0, 0.99), Resume::if_named);
  }
};
const ComponentSettings<EfficientNetSettings> settings{
    "model.efficientnet",
    {"efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"},
    __FILE__};

// How much wider and deeper a size is than B0.
struct Size {
  double width;
  double depth;
};

struct StageShape {
  std::int64_t expansion;  // of a block's input in its depthwise convolution
  std::int64_t kernel;
  std::int64_t stride;  // of the first block
  std::int64_t in;
  std::int64_t out;
  std::int64_t blocks;
};

// Of B0.
constexpr std::array<StageShape, 7> stage_shapes = {{{1, 3, 1, 32, 16, 1},
                                                     {6, 3, 2, 16, 24, 2},
                                                     {6, 5, 2, 24, 40, 2},
                                                     {6, 3, 2, 40, 80, 3},
                                                     {6, 5, 1, 80, 112, 3},
                                                     {6, 5, 2, 112, 192, 4},
                                                     {6, 3, 1, 192, 320, 1}}};

// The nearest multiple of 8, but at least nine tenths of `channels`.
std::int64_t divisible(double channels) {
  const auto nearest = std::max<std::int64_t>(8, static_cast<std::int64_t>(channels + 4) / 8 * 8);
  return static_cast<double>(nearest) < 0.9 * channels ? nearest + 8 : nearest;
}

StageShape scaled(StageShape shape, const Size& size) {
  shape.in = divisible(static_cast<double>(shape.in) * size.width);
  shape.out = divisible(static_cast<double>(shape.out) * size.width);
  shape.blocks = static_cast<std::int64_t>(std::ceil(static_cast<double>(shape.blocks) * size.depth));
  return shape;
}

// A convolution without bias and its batch norm.
class ConvNorm : public torch::nn::Module {
 public:
  ConvNorm(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1, std::int64_t groups = 1)
      : conv(register_module("0", torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel)
                                                        .stride(stride)
                                                        .padding((kernel - 1) / 2)
                                                        .groups(groups)
                                                        .bias(false)))),
        norm(register_module("1", BatchNorm(out))) {}

  at::Tensor forward(const at::Tensor& x) { return conv_norm(conv, norm, x); }

 private:
  torch::nn::Conv2d conv;
  BatchNorm norm;
};

// Weights each channel by a function of the means of all channels (Hu et al. 2018, "Squeeze-and-Excitation Networks").
class SqueezeExcitation : public torch::nn::Module {
 public:
  SqueezeExcitation(std::int64_t channels, std::int64_t squeezed)
      : fc1(register_module("fc1", torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, squeezed, 1)))),
        fc2(register_module("fc2", torch::nn::Conv2d(torch::nn::Conv2dOptions(squeezed, channels, 1)))) {}

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor means = global_average_pool(x).unsqueeze(2).unsqueeze(3);
    return at::sigmoid(fc2(at::silu(fc1(means)))) * x;
  }

 private:
  torch::nn::Conv2d fc1;
  torch::nn::Conv2d fc2;
};

// The residual branch of a block: its layers have the numbers that they have in torchvision.
class Branch : public torch::nn::Module {
 public:
  Branch(const StageShape& shape, std::int64_t in, std::int64_t stride) {
    const std::int64_t width = divisible(static_cast<double>(in * shape.expansion));
    int number = 0;
    const auto add = [&](auto module) { return register_module(std::to_string(number++), module); };
    if (width != in) expand = add(std::make_shared<ConvNorm>(in, width, 1));
    depthwise = add(std::make_shared<ConvNorm>(width, width, shape.kernel, stride, width));
    excitation = add(std::make_shared<SqueezeExcitation>(width, std::max<std::int64_t>(1, in / 4)));
    project = add(std::make_shared<ConvNorm>(width, shape.out, 1));
  }

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor expanded = expand ? at::silu(expand->forward(x)) : x;
    return project->forward(excitation->forward(at::silu(depthwise->forward(expanded))));
  }

 private:
  std::shared_ptr<ConvNorm> expand;  // null if the depthwise convolution has as many channels as the block's input
  std::shared_ptr<ConvNorm> depthwise;
  std::shared_ptr<SqueezeExcitation> excitation;
  std::shared_ptr<ConvNorm> project;
};

class Block : public torch::nn::Module {
 public:
  Block(const StageShape& shape, bool first, double drop_path)
      : adds_(!first || (shape.stride == 1 && shape.in == shape.out)),
        drop_path_(drop_path),
        branch(register_module(
            "block", std::make_shared<Branch>(shape, first ? shape.in : shape.out, first ? shape.stride : 1))) {}

  // The factors are drawn before the block, so that recomputing in a CUDA graph need not draw them again.
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor factors = drop_path_factors(/*branches=*/1, x, adds_ && is_training() ? drop_path_ : 0);
    return recompute(*this, {x, factors}, [this](const std::vector<at::Tensor>& inputs) {
      const at::Tensor y = branch->forward(inputs[0]);
      if (!adds_) return std::vector<at::Tensor>{y};
      return std::vector<at::Tensor>{(inputs[1].defined() ? y * inputs[1][0] : y) + inputs[0]};
    })[0];
  }

 private:
  bool adds_;
  double drop_path_;
  std::shared_ptr<Branch> branch;
};

class Features : public torch::nn::Module {
 public:
  Features(const Size& size, const EfficientNetSettings& chosen, std::int64_t image_channels)
      : stem(register_module(
            "0", std::make_shared<ConvNorm>(image_channels, scaled(stage_shapes.front(), size).in, 3, chosen.stride))) {
    std::array<StageShape, stage_shapes.size()> shapes{};
    std::int64_t count = 0;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      shapes[i] = scaled(stage_shapes[i], size);
      count += shapes[i].blocks;
    }
    std::int64_t index = 0;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      stages[i] = register_module(std::to_string(i + 1), torch::nn::Sequential());
      for (std::int64_t j = 0; j < shapes[i].blocks; ++j) {
        const double drop_path = drop_path_of_block(chosen.drop_path, index++, count);
        stages[i]->push_back(std::make_shared<Block>(shapes[i], /*first=*/j == 0, drop_path));
      }
    }
    channels_ = 4 * shapes.back().out;
    last =
        register_module(std::to_string(shapes.size() + 1), std::make_shared<ConvNorm>(shapes.back().out, channels_, 1));
  }

  std::int64_t channels() const { return channels_; }

  at::Tensor forward(const at::Tensor& images) {
    at::Tensor x = at::silu(stem->forward(images));
    for (torch::nn::Sequential& stage : stages) x = stage->forward(x);
    return at::silu(last->forward(x));
  }

 private:
  std::int64_t channels_ = 0;
  std::shared_ptr<ConvNorm> stem;
  std::array<torch::nn::Sequential, stage_shapes.size()> stages{nullptr, nullptr, nullptr, nullptr,
                                                                nullptr, nullptr, nullptr};
  std::shared_ptr<ConvNorm> last;
};

// The number of the linear layer is torchvision's, where dropout has the number 0.
class Classifier : public torch::nn::Module {
 public:
  Classifier(std::int64_t channels, std::int64_t outputs, double dropout)
      : dropout_(dropout), fc(register_module("1", torch::nn::Linear(channels, outputs))) {}

  at::Tensor forward(const at::Tensor& x) { return fc(at::dropout(x, dropout_, is_training())); }

 private:
  double dropout_;
  torch::nn::Linear fc;
};

void init_weights(torch::nn::Module& module) {
  init_convolutions(module);
  const at::NoGradGuard no_grad;
  for (const auto& part : module.modules(/*include_self=*/false)) {
    if (auto* conv = part->as<torch::nn::Conv2dImpl>(); conv != nullptr && conv->bias.defined()) conv->bias.zero_();
    auto* const linear = part->as<torch::nn::LinearImpl>();
    if (linear == nullptr) continue;
    const double bound = 1 / std::sqrt(static_cast<double>(linear->weight.size(0)));
    linear->weight.uniform_(-bound, bound);
    linear->bias.zero_();
  }
}

class EfficientNet : public ModelModule {
 public:
  EfficientNet(const Size& size, const EfficientNetSettings& chosen, const ModelInput& input)
      : features(register_module("features", std::make_shared<Features>(size, chosen, input.image().channels))),
        classifier(register_module("classifier",
                                   std::make_shared<Classifier>(features->channels(), input.outputs, chosen.dropout))) {
    init_weights(*this);
  }

  TensorDict forward(const TensorDict& batch) override {
    return {{"logits", classifier->forward(global_average_pool(features->forward(batch.at("image"))))}};
  }

  std::string head() const override { return "classifier.1"; }

  std::vector<Stage> stages() const override {
    std::vector<Stage> stages = {{.name = "stem", .prefixes = {"features.0"}}};
    for (std::size_t i = 1; i <= stage_shapes.size(); ++i) {
      stages.push_back({.name = fmt::format("stage{}", i), .prefixes = {fmt::format("features.{}", i)}});
    }
    stages.push_back({.name = "head", .prefixes = {fmt::format("features.{}", stage_shapes.size() + 1), "classifier"}});
    return stages;
  }

 private:
  std::shared_ptr<Features> features;
  std::shared_ptr<Classifier> classifier;
};

auto factory(const Size& size) {
  return [size](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    return std::make_shared<EfficientNet>(size, settings.in(config), input);
  };
}

const ModelRegistry::Registration b0{"efficientnet_b0", "torchvision's EfficientNet-B0, for 224 px: 16 blocks",
                                     factory({.width = 1, .depth = 1}), __FILE__};
const ModelRegistry::Registration b1{"efficientnet_b1", "torchvision's EfficientNet-B1, for 240 px: 23 blocks",
                                     factory({.width = 1, .depth = 1.1}), __FILE__};
const ModelRegistry::Registration b2{"efficientnet_b2", "torchvision's EfficientNet-B2, for 260 px: 23 blocks",
                                     factory({.width = 1.1, .depth = 1.2}), __FILE__};
const ModelRegistry::Registration b3{"efficientnet_b3", "torchvision's EfficientNet-B3, for 300 px: 26 blocks",
                                     factory({.width = 1.2, .depth = 1.4}), __FILE__};
const ModelRegistry::Registration b4{"efficientnet_b4", "torchvision's EfficientNet-B4, for 380 px: 32 blocks",
                                     factory({.width = 1.4, .depth = 1.8}), __FILE__};

}  // namespace
}  // namespace trainyard
