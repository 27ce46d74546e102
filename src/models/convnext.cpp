// ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s"; its smaller sizes are timm's) with the parameter names and
// initial distributions of torchvision.models.convnext. model.weights also accepts timm's names and shapes.

#include <algorithm>
#include <array>
#include <numeric>

#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>

#include "config/component.h"
#include "layers/bias_gelu.h"
#include "layers/drop_path.h"
#include "layers/global_average_pool.h"
#include "layers/layer_norm.h"
#include "layers/recompute.h"
#include "models/convnext_names.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct ConvNeXtSettings {
  int patch_size = 4;
  double drop_path = 0;

  void declare(SettingTable& table) {
    table.add("patch_size", patch_size,
              "side of the first convolution's kernel and stride in pixels; 1 or 2 for images of 28 to 64 px",
              whole(1, 1024), Resume::fixed);
    table.add("drop_path", drop_path, "share of the samples that skip the last block; smaller in earlier blocks",
              number(0, 0.99), Resume::if_named);
  }
};
const ComponentSettings<ConvNeXtSettings> settings{"model.convnext",
                                                   {"convnext_atto", "convnext_femto", "convnext_pico", "convnext_nano",
                                                    "convnext_tiny", "convnext_small", "convnext_base"},
                                                   __FILE__};

constexpr std::size_t stage_count = 4;

struct Size {
  std::int64_t width;  // channels of the first stage; each stage has twice those of the previous one
  std::array<std::int64_t, stage_count> depths;  // blocks of the stages
};

LayerNorm layer_norm(std::int64_t width) { return LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-6)); }

// Views with the channels as the last dimension, and back. The first is contiguous if x has the format ChannelsLast.
at::Tensor channels_last(const at::Tensor& x) { return x.permute({0, 2, 3, 1}); }
at::Tensor channels_first(const at::Tensor& x) { return x.permute({0, 3, 1, 2}); }

// Normalizes the last dimension. The fused norm takes float32, to which autocast would convert x anyway.
at::Tensor normalize(LayerNorm& norm, const at::Tensor& x) {
  return norm->add_norm(x.to(norm->weight.scalar_type()), {}).normalized;
}

torch::nn::Conv2d patch_convolution(std::int64_t in, std::int64_t out, std::int64_t patch) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, patch).stride(patch));
}

// torchvision truncates the normal distribution at ±2, i.e. at 100 standard deviations, which has no effect.
void init_weights(torch::nn::Module& module) {
  const at::NoGradGuard no_grad;
  const auto init = [](auto& layer) {
    layer.weight.normal_(0, 0.02);
    layer.bias.zero_();
  };
  for (const auto& part : module.modules(/*include_self=*/false)) {
    if (auto* conv = part->as<torch::nn::Conv2dImpl>()) init(*conv);
    if (auto* linear = part->as<torch::nn::LinearImpl>()) init(*linear);
  }
}

// The residual branch of a block. Missing numbers are those of torchvision's modules without parameters.
class Branch : public torch::nn::Module {
 public:
  explicit Branch(std::int64_t width)
      : conv(register_module("0",
                             torch::nn::Conv2d(torch::nn::Conv2dOptions(width, width, 7).padding(3).groups(width)))),
        norm(register_module("2", layer_norm(width))),
        fc1(register_module("3", torch::nn::Linear(width, 4 * width))),
        fc2(register_module("5", torch::nn::Linear(4 * width, width))) {}

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = normalize(norm, channels_last(conv(x)));
    return channels_first(fc2(bias_gelu(at::linear(y, fc1->weight), fc1->bias)));
  }

 private:
  torch::nn::Conv2d conv;
  LayerNorm norm;
  torch::nn::Linear fc1;
  torch::nn::Linear fc2;
};

class Block : public torch::nn::Module {
 public:
  Block(std::int64_t width, double drop_path)
      : drop_path_(drop_path),
        layer_scale(register_parameter("layer_scale", at::ones({width, 1, 1}) * 1e-6)),
        branch(register_module("block", std::make_shared<Branch>(width))) {}

  // The factors are drawn before the block, so that recomputing in a CUDA graph need not draw them again.
  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor factors = drop_path_factors(/*branches=*/1, x, is_training() ? drop_path_ : 0);
    return recompute(*this, {x, factors}, [this](const std::vector<at::Tensor>& inputs) {
      const at::Tensor scale = inputs[1].defined() ? layer_scale * inputs[1][0] : layer_scale;
      return std::vector<at::Tensor>{(scale * branch->forward(inputs[0])).add_(inputs[0])};
    })[0];
  }

 private:
  double drop_path_;
  at::Tensor layer_scale;
  std::shared_ptr<Branch> branch;
};

class Stem : public torch::nn::Module {
 public:
  Stem(std::int64_t channels, std::int64_t width, std::int64_t patch)
      : conv(register_module("0", patch_convolution(channels, width, patch))),
        norm(register_module("1", layer_norm(width))) {}

  // Not the fused norm: its result has autocast's type, but the blocks add to it.
  at::Tensor forward(const at::Tensor& images) { return channels_first(norm(channels_last(conv(images)))); }

 private:
  torch::nn::Conv2d conv;
  LayerNorm norm;
};

class Downsample : public torch::nn::Module {
 public:
  explicit Downsample(std::int64_t width)
      : norm(register_module("0", layer_norm(width))),
        conv(register_module("1", patch_convolution(width, 2 * width, 2))) {}

  at::Tensor forward(const at::Tensor& x) { return conv(channels_first(normalize(norm, channels_last(x)))); }

 private:
  LayerNorm norm;
  torch::nn::Conv2d conv;
};

class Features : public torch::nn::Module {
 public:
  Features(const Size& size, const ConvNeXtSettings& chosen, std::int64_t image_channels)
      : stem(register_module("0", std::make_shared<Stem>(image_channels, size.width, chosen.patch_size))) {
    const std::int64_t count = std::accumulate(size.depths.begin(), size.depths.end(), std::int64_t{0});
    std::int64_t width = size.width;
    std::int64_t index = 0;
    for (std::size_t i = 0; i < stage_count; ++i) {
      if (i > 0) {
        downsamples[i] = register_module(std::to_string(2 * i), std::make_shared<Downsample>(width));
        width *= 2;
      }
      stages[i] = register_module(std::to_string(2 * i + 1), torch::nn::Sequential());
      for (std::int64_t j = 0; j < size.depths[i]; ++j) {
        stages[i]->push_back(std::make_shared<Block>(width, drop_path_of_block(chosen.drop_path, index++, count)));
      }
    }
  }

  at::Tensor forward(const at::Tensor& images) {
    at::Tensor x = stem->forward(images);
    for (std::size_t i = 0; i < stage_count; ++i) {
      if (i > 0) x = downsamples[i]->forward(x);
      x = stages[i]->forward(x);
    }
    return x;
  }

 private:
  std::shared_ptr<Stem> stem;
  std::array<std::shared_ptr<Downsample>, stage_count> downsamples;  // before the stages; none before the first
  std::array<torch::nn::Sequential, stage_count> stages{nullptr, nullptr, nullptr, nullptr};
};

class Classifier : public torch::nn::Module {
 public:
  Classifier(std::int64_t width, std::int64_t outputs)
      : norm(register_module("0", layer_norm(width))), fc(register_module("2", torch::nn::Linear(width, outputs))) {}

  at::Tensor forward(const at::Tensor& x) { return fc(normalize(norm, x)); }

 private:
  LayerNorm norm;
  torch::nn::Linear fc;
};

class ConvNeXt : public ModelModule {
 public:
  ConvNeXt(const Size& size, const ConvNeXtSettings& chosen, const ModelInput& input)
      : features(register_module("features", std::make_shared<Features>(size, chosen, input.image().channels))),
        classifier(register_module("classifier",
                                   std::make_shared<Classifier>(size.width << (stage_count - 1), input.outputs))) {
    init_weights(*this);
  }

  TensorDict forward(const TensorDict& batch) override {
    return {{"logits", classifier->forward(global_average_pool(features->forward(batch.at("image"))))}};
  }

  std::string head() const override { return "classifier.2"; }

  std::vector<Stage> stages() const override {
    return {{.name = "stem", .prefixes = {"features.0"}},
            {.name = "stage1", .prefixes = {"features.1"}},
            {.name = "stage2", .prefixes = {"features.2", "features.3"}},
            {.name = "stage3", .prefixes = {"features.4", "features.5"}},
            {.name = "stage4", .prefixes = {"features.6", "features.7"}},
            {.name = "head", .prefixes = {"classifier"}}};
  }

  std::string own_name(const std::string& name) const override { return torchvision_name(name); }

  std::string unsupported_variant(const NamedTensors& tensors) const override { return convnext_variant(tensors); }

  // timm's layer scales have one dimension, and in its sizes up to nano, linear layers are convolutions of 1×1.
  Adapted adapt(const std::string& name, const at::Tensor& given, const at::Tensor& wanted) const override {
    if (given.squeeze().sizes() == wanted.squeeze().sizes()) {
      return {.tensor = given.reshape(wanted.sizes()), .note = ""};
    }
    if (name != "features.0.0.weight" || given.dim() != 4 || given.size(2) == wanted.size(2)) return {};
    return {.tensor = {}, .note = fmt::format("set model.convnext.patch_size to {}", given.size(2))};
  }

 private:
  std::shared_ptr<Features> features;
  std::shared_ptr<Classifier> classifier;
};

auto factory(const Size& size) {
  return [size](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    const ConvNeXtSettings& chosen = settings.in(config);
    const ImageShape image = input.image();
    const std::int64_t patch = chosen.patch_size;
    const std::int64_t largest = std::min(image.height, image.width) / 8;
    if (patch > largest) {
      throw UsageError("model.convnext.patch_size",
                       "{} makes {}×{} patches of images of {}×{}, but a ConvNeXt halves them three times and needs at "
                       "least 8×8: {}",
                       patch, image.height / patch, image.width / patch, image.height, image.width,
                       largest > 0 ? fmt::format("choose at most {}", largest) : "enlarge the images");
    }
    return std::make_shared<ConvNeXt>(size, chosen, input);
  };
}

const ModelRegistry::Registration atto{"convnext_atto", "timm's ConvNeXt-Atto: widths 40 to 320, 12 blocks",
                                       factory({.width = 40, .depths = {2, 2, 6, 2}}), __FILE__};
const ModelRegistry::Registration femto{"convnext_femto", "timm's ConvNeXt-Femto: widths 48 to 384, 12 blocks",
                                        factory({.width = 48, .depths = {2, 2, 6, 2}}), __FILE__};
const ModelRegistry::Registration pico{"convnext_pico", "timm's ConvNeXt-Pico: widths 64 to 512, 12 blocks",
                                       factory({.width = 64, .depths = {2, 2, 6, 2}}), __FILE__};
const ModelRegistry::Registration nano{"convnext_nano", "timm's ConvNeXt-Nano: widths 80 to 640, 14 blocks",
                                       factory({.width = 80, .depths = {2, 2, 8, 2}}), __FILE__};
const ModelRegistry::Registration tiny{"convnext_tiny", "torchvision's ConvNeXt-Tiny: widths 96 to 768, 18 blocks",
                                       factory({.width = 96, .depths = {3, 3, 9, 3}}), __FILE__};
const ModelRegistry::Registration small{"convnext_small", "torchvision's ConvNeXt-Small: widths 96 to 768, 36 blocks",
                                        factory({.width = 96, .depths = {3, 3, 27, 3}}), __FILE__};
const ModelRegistry::Registration base{"convnext_base", "torchvision's ConvNeXt-Base: widths 128 to 1024, 36 blocks",
                                       factory({.width = 128, .depths = {3, 3, 27, 3}}), __FILE__};

}  // namespace
}  // namespace trainyard
