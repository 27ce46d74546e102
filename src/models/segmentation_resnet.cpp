#include "models/segmentation_resnet.h"

#include <ATen/ops/dropout.h>

#include "layers/resize.h"
#include "models/convolution.h"

namespace trainyard {

ConvBnRelu::ConvBnRelu(torch::nn::Module& owner, int index, std::int64_t in, std::int64_t out, std::int64_t kernel,
                       std::int64_t dilation)
    : conv(owner.register_module(std::to_string(index), convolution(in, out, kernel, /*stride=*/1, dilation))),
      bn(owner.register_module(std::to_string(index + 1), BatchNorm(out))) {}

// In torchvision, modules 2 and 3 are ReLU and dropout.
FcnHead::FcnHead(std::int64_t channels, std::int64_t outputs, double dropout)
    : dropout_(dropout),
      conv_(*this, 0, channels, channels / 4, 3),
      scores_(register_module("4", torch::nn::Conv2d(torch::nn::Conv2dOptions(channels / 4, outputs, 1)))) {}

at::Tensor FcnHead::forward(const at::Tensor& features) {
  return scores_(at::dropout(conv_.forward(features), dropout_, is_training()));
}

class SegmentationResNet::Backbone : public torch::nn::Module {
 public:
  Backbone(const ResNetShape& shape, std::int64_t channels) : layers(*this, shape, channels) {
    init_convolutions(*this);
  }
  ResNetLayers layers;
};

SegmentationResNet::SegmentationResNet(ResNetShape shape, const ModelInput& input, const MakeHead& make_head,
                                       std::optional<double> aux_dropout) {
  shape.dilated = true;
  backbone_ = register_module("backbone", std::make_shared<Backbone>(shape, input.image().channels));
  classifier_ = register_module("classifier", make_head(backbone_->layers.layer4_channels()));
  if (aux_dropout) {
    aux_classifier_ = register_module(
        "aux_classifier", std::make_shared<FcnHead>(backbone_->layers.layer3_channels(), input.outputs, *aux_dropout));
  }
}

TensorDict SegmentationResNet::forward(const TensorDict& batch) {
  const at::Tensor& images = batch.at("image");
  const auto scores = [&](SegmentationHead& head, const at::Tensor& features) {
    return resize_bilinear(head.forward(features), images.size(2), images.size(3));
  };
  const auto [layer3, layer4] = backbone_->layers.forward(images);
  TensorDict outputs{{"logits", scores(*classifier_, layer4)}};
  if (aux_classifier_) outputs.set("aux", scores(*aux_classifier_, layer3));
  return outputs;
}

bool SegmentationResNet::is_of_head(const std::string& name) const {
  return name.starts_with("classifier.") || name.starts_with("aux_classifier.");
}

std::vector<Stage> SegmentationResNet::stages() const {
  std::vector<Stage> stages = ResNetLayers::stages("backbone.");
  stages.push_back({.name = "head", .prefixes = {"classifier", "aux_classifier"}});
  return stages;
}

std::string SegmentationResNet::own_name(const std::string& name) const {
  const auto is_in = [&](const char* module) { return name.starts_with(module); };
  if (is_in("fc.") || (is_in("aux_classifier.") && !aux_classifier_)) return "";
  const bool is_bare =
      is_in("conv1.") || is_in("bn1.") || is_in("layer1.") || is_in("layer2.") || is_in("layer3.") || is_in("layer4.");
  return is_bare ? "backbone." + name : name;
}

}  // namespace trainyard
