/// Base class of segmentation models with a ResNet backbone: the parts that torchvision.models.segmentation's models
/// share, under torchvision's names.
#pragma once

#include <functional>
#include <optional>

#include "layers/conv_norm.h"
#include "models/model_module.h"
#include "models/resnet_layers.h"

namespace trainyard {

/// A size-preserving convolution without bias, followed by batch normalization and ReLU. Registers convolution and
/// batch norm in `owner` like modules `index` and `index` + 1 of a torch::nn::Sequential. Not a module itself.
class ConvBnRelu {
 public:
  ConvBnRelu(torch::nn::Module& owner, int index, std::int64_t in, std::int64_t out, std::int64_t kernel,
             std::int64_t dilation = 1);
  at::Tensor forward(const at::Tensor& x) { return conv_norm_relu(conv, bn, x); }

 private:
  torch::nn::Conv2d conv;
  BatchNorm bn;
};

/// Computes scores from feature maps, of the same size.
class SegmentationHead : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const at::Tensor& features) = 0;
};

/// torchvision's FCNHead: a 3×3 convolution to a quarter of the channels, dropout, and a convolution to the scores.
class FcnHead : public SegmentationHead {
 public:
  FcnHead(std::int64_t channels, std::int64_t outputs, double dropout);
  at::Tensor forward(const at::Tensor& features) override;

 private:
  double dropout_;
  ConvBnRelu conv_;
  torch::nn::Conv2d scores_;
};

/// Consists of `backbone`, a dilated ResNet; `classifier`, which reads its layer4; and optionally `aux_classifier`, an
/// FcnHead on layer3. forward() returns "logits" of the image's size, and "aux" of the same shape.
///
/// Accepts the weights of torchvision's whole model, and for the backbone those of torchvision's classification models,
/// whose names lack "backbone.". Ignores fc, and aux_classifier if this model has none.
class SegmentationResNet : public ModelModule {
 public:
  /// Creates the classifier for feature maps with `channels` channels.
  using MakeHead = std::function<std::shared_ptr<SegmentationHead>(std::int64_t channels)>;

  /// aux_dropout: the dropout of aux_classifier; empty: no aux_classifier.
  SegmentationResNet(ResNetShape shape, const ModelInput& input, const MakeHead& make_head,
                     std::optional<double> aux_dropout);

  TensorDict forward(const TensorDict& batch) override;
  std::string head() const override { return "classifier"; }
  bool is_of_head(const std::string& name) const override;
  std::vector<Stage> stages() const override;
  std::string own_name(const std::string& name) const override;

 private:
  class Backbone;

  std::shared_ptr<Backbone> backbone_;
  std::shared_ptr<SegmentationHead> classifier_;
  std::shared_ptr<SegmentationHead> aux_classifier_;
};

}  // namespace trainyard
