#include "models/resnet_layers.h"

#include <torch/nn/init.h>

#include "layers/conv_norm.h"
#include "layers/recompute.h"
#include "models/convolution.h"

namespace trainyard {
namespace {

struct BlockShape {
  std::int64_t in;
  std::int64_t width;
  std::int64_t stride = 1;
  std::int64_t first_dilation = 1;  // of the first 3×3 convolution: the dilation of the previous block
  std::int64_t dilation = 1;        // of the second 3×3 convolution, if there is one
};

class Block : public torch::nn::Module {
 public:
  virtual Branches forward(const Branches& x) = 0;

 protected:
  // The shortcut: the input itself, or a 1×1 convolution if the shape changes.
  void make_shortcut(std::int64_t in, std::int64_t out, std::int64_t stride) {
    if (stride == 1 && in == out) return;
    conv_ = convolution(in, out, 1, stride);
    bn_ = BatchNorm(out);
    register_module("downsample", torch::nn::Sequential(conv_, bn_));
  }
  at::Tensor shortcut(const at::Tensor& x) { return conv_ ? conv_norm(conv_, bn_, x) : x; }

 private:
  // Of the shortcut; null if it is the input itself.
  torch::nn::Conv2d conv_{nullptr};
  BatchNorm bn_{nullptr};
};

class BasicBlock : public Block {
 public:
  static constexpr std::int64_t expansion = 1;

  explicit BasicBlock(const BlockShape& shape)
      : conv1(register_module("conv1", convolution(shape.in, shape.width, 3, shape.stride, shape.first_dilation))),
        bn1(register_module("bn1", BatchNorm(shape.width))),
        conv2(register_module("conv2", convolution(shape.width, shape.width, 3, 1, shape.dilation))),
        bn2(register_module("bn2", BatchNorm(shape.width))) {
    make_shortcut(shape.in, shape.width, shape.stride);
  }

  Branches forward(const Branches& x) override {
    const at::Tensor y = conv_norm_relu(conv1, bn1, x.main);
    return conv_norm_add_relu(conv2, bn2, y, shortcut(x.shortcut));
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

  explicit Bottleneck(const BlockShape& shape)
      : conv1(register_module("conv1", convolution(shape.in, shape.width, 1))),
        bn1(register_module("bn1", BatchNorm(shape.width))),
        conv2(register_module("conv2", convolution(shape.width, shape.width, 3, shape.stride, shape.first_dilation))),
        bn2(register_module("bn2", BatchNorm(shape.width))),
        conv3(register_module("conv3", convolution(shape.width, shape.width * expansion, 1))),
        bn3(register_module("bn3", BatchNorm(shape.width * expansion))) {
    make_shortcut(shape.in, shape.width * expansion, shape.stride);
  }

  Branches forward(const Branches& x) override {
    at::Tensor y = conv_norm_relu(conv1, bn1, x.main);
    y = conv_norm_relu(conv2, bn2, y);
    return conv_norm_add_relu(conv3, bn3, y, shortcut(x.shortcut));
  }

 private:
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  torch::nn::Conv2d conv2;
  BatchNorm bn2;
  torch::nn::Conv2d conv3;
  BatchNorm bn3;
};

// A layer of `count` blocks, the first of which has the shape `shape`.
template <typename BlockType>
torch::nn::Sequential blocks(int count, BlockShape shape) {
  torch::nn::Sequential layer;
  for (int i = 0; i < count; ++i) {
    layer->push_back(std::make_shared<BlockType>(shape));
    shape.in = shape.width * BlockType::expansion;
    shape.stride = 1;
    shape.first_dilation = shape.dilation;
  }
  return layer;
}

// The shortcut precedes the main branch, so that gradients are added in the same order as without recomputing.
Branches forward_layer(torch::nn::SequentialImpl& layer, const Branches& x) {
  const auto outputs = recompute(layer, {x.shortcut, x.main}, [&layer](const std::vector<at::Tensor>& inputs) {
    const Branches y = layer.forward<Branches>(Branches{.main = inputs[1], .shortcut = inputs[0]});
    return std::vector<at::Tensor>{y.shortcut, y.main};
  });
  return {.main = outputs[1], .shortcut = outputs[0]};
}

}  // namespace

ResNetLayers::ResNetLayers(torch::nn::Module& owner, const ResNetShape& shape, std::int64_t image_channels)
    : stem_(shape.stem),
      expansion_(shape.bottleneck ? Bottleneck::expansion : BasicBlock::expansion),
      conv1(owner.register_module("conv1", shape.stem == Stem::small ? convolution(image_channels, 64, 3)
                                                                     : convolution(image_channels, 64, 7, 2))),
      bn1(owner.register_module("bn1", BatchNorm(64))) {
  std::int64_t channels = 64;
  std::int64_t dilation = 1;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    BlockShape first{.in = channels, .width = std::int64_t{64} << i, .first_dilation = dilation};
    if (shape.dilated && i >= 2) {
      dilation *= 2;
    } else if (i > 0) {
      first.stride = 2;
    }
    first.dilation = dilation;
    layers_[i] = owner.register_module(fmt::format("layer{}", i + 1), shape.bottleneck
                                                                          ? blocks<Bottleneck>(shape.blocks[i], first)
                                                                          : blocks<BasicBlock>(shape.blocks[i], first));
    channels = first.width * expansion_;
  }
}

Branches ResNetLayers::stem(const at::Tensor& images) {
  if (stem_ == Stem::standard) return conv_norm_relu_pool(conv1, bn1, images);
  const at::Tensor x = conv_norm_relu(conv1, bn1, images);
  return {x, x};
}

ResNetFeatures ResNetLayers::forward(const at::Tensor& images) {
  Branches branches = stem(images);
  for (std::size_t i = 0; i < 3; ++i) branches = forward_layer(*layers_[i], branches);
  const at::Tensor layer3 = branches.main;
  return {layer3, forward_layer(*layers_[3], branches).main};
}

std::vector<Stage> ResNetLayers::stages(const std::string& prefix) {
  std::vector<Stage> stages = {{.name = "stem", .prefixes = {prefix + "conv1", prefix + "bn1"}}};
  for (const char* layer : {"layer1", "layer2", "layer3", "layer4"}) {
    stages.push_back({.name = layer, .prefixes = {prefix + layer}});
  }
  return stages;
}

void init_convolutions(torch::nn::Module& module) {
  for (const auto& part : module.modules(/*include_self=*/false)) {
    if (auto* conv = part->as<torch::nn::Conv2dImpl>()) {
      torch::nn::init::kaiming_normal_(conv->weight, 0, torch::kFanOut, torch::kReLU);
    }
  }
}

}  // namespace trainyard
