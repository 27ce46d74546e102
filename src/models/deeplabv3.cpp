// DeepLabV3 (Chen et al. 2017, "Rethinking Atrous Convolution for Semantic Image Segmentation") on a ResNet, as
// torchvision.models.segmentation.deeplabv3_resnet50 builds it. torchvision has no variant with a ResNet-18; the one
// here is built in the same way.

#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>

#include "config/component.h"
#include "layers/global_average_pool.h"
#include "models/segmentation_resnet.h"

namespace trainyard {
namespace {

struct DeepLabSettings {
  double dropout = 0.5;
  bool aux = false;

  void declare(SettingTable& table) {
    table.add("dropout", dropout, "share dropped from the output of the parallel convolutions", number(0, 0.99),
              Resume::if_named);
    table.add("aux", aux, "add a second head on layer3, whose output a task may include in the loss", Resume::fixed);
  }
};
const ComponentSettings<DeepLabSettings> settings{
    "model.deeplabv3", {"deeplabv3_resnet18", "deeplabv3_resnet50"}, __FILE__};

constexpr std::int64_t width = 256;
constexpr std::int64_t dilations[] = {12, 24, 36};
constexpr double aux_dropout = 0.1;

class Conv : public torch::nn::Module {
 public:
  Conv(std::int64_t in, std::int64_t kernel, std::int64_t dilation = 1)
      : conv_(*this, 0, in, width, kernel, dilation) {}
  at::Tensor forward(const at::Tensor& x) { return conv_.forward(x); }

 private:
  ConvBnRelu conv_;
};

// Global average pooling and a 1×1 convolution, expanded to the size of x. torchvision interpolates the single pixel,
// with the same result.
class ImagePool : public torch::nn::Module {
 public:
  explicit ImagePool(std::int64_t in) : conv_(*this, 1, in, width, 1) {}
  at::Tensor forward(const at::Tensor& x) {
    return conv_.forward(global_average_pool(x).unsqueeze(2).unsqueeze(3)).expand({-1, -1, x.size(2), x.size(3)});
  }

 private:
  ConvBnRelu conv_;
};

class ParallelConvs : public torch::nn::Module {
 public:
  explicit ParallelConvs(std::int64_t in) {
    const auto next = [this] { return std::to_string(convs_.size()); };
    convs_.push_back(register_module(next(), std::make_shared<Conv>(in, 1)));
    for (const std::int64_t dilation : dilations) {
      convs_.push_back(register_module(next(), std::make_shared<Conv>(in, 3, dilation)));
    }
    pool_ = register_module(next(), std::make_shared<ImagePool>(in));
  }

  at::Tensor forward(const at::Tensor& x) {
    std::vector<at::Tensor> results;
    for (const std::shared_ptr<Conv>& conv : convs_) results.push_back(conv->forward(x));
    results.push_back(pool_->forward(x));
    return at::cat(results, 1);
  }

  static constexpr std::int64_t count = std::size(dilations) + 2;

 private:
  std::vector<std::shared_ptr<Conv>> convs_;
  std::shared_ptr<ImagePool> pool_;
};

// Atrous spatial pyramid pooling.
class Aspp : public torch::nn::Module {
 public:
  Aspp(std::int64_t in, double dropout)
      : dropout_(dropout),
        convs_(register_module("convs", std::make_shared<ParallelConvs>(in))),
        project_(register_module("project", std::make_shared<Conv>(ParallelConvs::count * width, 1))) {}

  at::Tensor forward(const at::Tensor& x) {
    return at::dropout(project_->forward(convs_->forward(x)), dropout_, is_training());
  }

 private:
  double dropout_;
  std::shared_ptr<ParallelConvs> convs_;
  std::shared_ptr<Conv> project_;
};

class DeepLabHead : public SegmentationHead {
 public:
  DeepLabHead(std::int64_t channels, std::int64_t outputs, double dropout)
      : aspp_(register_module("0", std::make_shared<Aspp>(channels, dropout))),
        conv_(*this, 1, width, width, 3),
        scores_(register_module("4", torch::nn::Conv2d(torch::nn::Conv2dOptions(width, outputs, 1)))) {}

  at::Tensor forward(const at::Tensor& features) override { return scores_(conv_.forward(aspp_->forward(features))); }

 private:
  std::shared_ptr<Aspp> aspp_;
  ConvBnRelu conv_;
  torch::nn::Conv2d scores_;
};

auto factory(const ResNetShape& shape) {
  return [shape](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    const auto [dropout, aux] = settings.in(config);
    const auto head = [&, dropout = dropout](std::int64_t channels) {
      return std::make_shared<DeepLabHead>(channels, input.outputs, dropout);
    };
    return std::make_shared<SegmentationResNet>(shape, input, head, aux ? std::optional(aux_dropout) : std::nullopt);
  };
}

const ModelRegistry::Registration deeplabv3_resnet18{
    "deeplabv3_resnet18", "DeepLabV3 on a ResNet-18, built as torchvision's deeplabv3_resnet50",
    factory(resnet18_shape), __FILE__};
const ModelRegistry::Registration deeplabv3_resnet50{"deeplabv3_resnet50",
                                                     "torchvision's DeepLabV3 for segmentation, on a ResNet-50",
                                                     factory(resnet50_shape), __FILE__};

}  // namespace
}  // namespace trainyard
