// ResNet-18, -34 and -50 (He et al. 2015, "Deep Residual Learning for Image Recognition"; version 1.5: the stride sits
// in the bottleneck's 3×3 convolution), with torchvision.models.resnet's parameter names and initial distributions.

#include <array>

#include <torch/nn/init.h>

#include "config/component.h"
#include "layers/batch_norm.h"
#include "layers/max_pool.h"
#include "models/layers.h"
#include "models/model_module.h"

namespace trainyard {
namespace {

enum class Stem : std::uint8_t { standard, small };
constexpr std::array<const char*, 2> words_of(Stem) { return {"standard", "small"}; }

struct ResNetSettings {
  Stem stem = Stem::standard;

  void declare(SettingTable& table) {
    table
        .add("stem", stem, "first layers: standard (7×7, stride 2, for 224 px) or small (3×3, for 28 to 64 px)",
             Resume::fixed)
        .formerly("model.stem");
  }
};
const ComponentSettings<ResNetSettings> settings{"model.resnet", {"resnet18", "resnet34", "resnet50"}, __FILE__};

torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

class Block : public torch::nn::Module {
 public:
  virtual Branches forward(const Branches& x) = 0;

 protected:
  // The shortcut: the input itself, or a 1×1 convolution where the shape changes.
  void make_shortcut(std::int64_t in, std::int64_t out, std::int64_t stride) {
    if (stride == 1 && in == out) return;
    downsample = register_module("downsample", torch::nn::Sequential(convolution(in, out, 1, stride), BatchNorm(out)));
  }
  at::Tensor shortcut(const at::Tensor& x) { return downsample ? downsample->forward(x) : x; }

 private:
  torch::nn::Sequential downsample{nullptr};
};

class BasicBlock : public Block {
 public:
  static constexpr std::int64_t expansion = 1;

  BasicBlock(std::int64_t in, std::int64_t width, std::int64_t stride)
      : conv1(register_module("conv1", convolution(in, width, 3, stride))),
        bn1(register_module("bn1", BatchNorm(width))),
        conv2(register_module("conv2", convolution(width, width, 3, 1))),
        bn2(register_module("bn2", BatchNorm(width))) {
    make_shortcut(in, width, stride);
  }

  Branches forward(const Branches& x) override {
    const at::Tensor y = bn1->relu(conv1(x.main));
    return bn2->add_relu(conv2(y), shortcut(x.shortcut));
  }

 private:
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  torch::nn::Conv2d conv2;
  BatchNorm bn2;
};

class Bottleneck : public Block {
 public:
  static constexpr std::int64_t expansion = 4;

  Bottleneck(std::int64_t in, std::int64_t width, std::int64_t stride)
      : conv1(register_module("conv1", convolution(in, width, 1, 1))),
        bn1(register_module("bn1", BatchNorm(width))),
        conv2(register_module("conv2", convolution(width, width, 3, stride))),
        bn2(register_module("bn2", BatchNorm(width))),
        conv3(register_module("conv3", convolution(width, width * expansion, 1, 1))),
        bn3(register_module("bn3", BatchNorm(width * expansion))) {
    make_shortcut(in, width * expansion, stride);
  }

  Branches forward(const Branches& x) override {
    at::Tensor y = bn1->relu(conv1(x.main));
    y = bn2->relu(conv2(y));
    return bn3->add_relu(conv3(y), shortcut(x.shortcut));
  }

 private:
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  torch::nn::Conv2d conv2;
  BatchNorm bn2;
  torch::nn::Conv2d conv3;
  BatchNorm bn3;
};

template <typename BlockType>
class ResNet : public ModelModule {
 public:
  ResNet(const std::array<int, 4>& depths, Stem stem, const ModelInput& input)
      : stem_(stem),
        conv1(register_module("conv1", stem == Stem::small ? convolution(input.image().channels, 64, 3, 1)
                                                           : convolution(input.image().channels, 64, 7, 2))),
        bn1(register_module("bn1", BatchNorm(64))) {
    std::int64_t channels = 64;
    for (std::size_t i = 0; i < depths.size(); ++i) {
      const std::int64_t width = std::int64_t{64} << i;
      torch::nn::Sequential layer;
      for (int block = 0; block < depths[i]; ++block) {
        layer->push_back(std::make_shared<BlockType>(channels, width, block == 0 && i > 0 ? 2 : 1));
        channels = width * BlockType::expansion;
      }
      layers_[i] = register_module(fmt::format("layer{}", i + 1), layer);
    }
    fc = register_module("fc", torch::nn::Linear(channels, input.outputs));
    for (const auto& module : modules(/*include_self=*/false)) {
      if (auto* conv = module->template as<torch::nn::Conv2dImpl>()) {
        torch::nn::init::kaiming_normal_(conv->weight, 0, torch::kFanOut, torch::kReLU);
      }
    }
  }

  TensorDict forward(const TensorDict& batch) override {
    at::Tensor x = bn1->relu(conv1(batch.at("image")));
    if (stem_ == Stem::standard) x = max_pool(x, /*size=*/3, /*stride=*/2, /*padding=*/1);
    Branches branches{x, x};
    for (auto& layer : layers_) branches = layer->forward<Branches>(branches);
    return {{"logits", fc(branches.main.mean({2, 3}))}};
  }

 private:
  Stem stem_;
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  std::array<torch::nn::Sequential, 4> layers_{nullptr, nullptr, nullptr, nullptr};
  torch::nn::Linear fc{nullptr};
};

template <typename BlockType>
auto factory(const std::array<int, 4>& depths) {
  return [depths](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    return std::make_shared<ResNet<BlockType>>(depths, settings.in(config).stem, input);
  };
}

const ModelRegistry::Registration resnet18{"resnet18", "torchvision's ResNet-18", factory<BasicBlock>({2, 2, 2, 2}),
                                           __FILE__};
const ModelRegistry::Registration resnet34{"resnet34", "torchvision's ResNet-34", factory<BasicBlock>({3, 4, 6, 3}),
                                           __FILE__};
const ModelRegistry::Registration resnet50{"resnet50", "torchvision's ResNet-50", factory<Bottleneck>({3, 4, 6, 3}),
                                           __FILE__};

}  // namespace
}  // namespace trainyard
