/// Provides the convolutional layers of ResNets, which classification and segmentation models share.
#pragma once

#include <array>

#include "layers/batch_norm.h"
#include "models/layers.h"
#include "models/model.h"

namespace trainyard {

enum class Stem : std::uint8_t {
  standard,  ///< 7×7 with stride 2, then max pooling with stride 2
  small,     ///< 3×3
};
constexpr std::array<const char*, 2> words_of(Stem) { return {"standard", "small"}; }

struct ResNetShape {
  bool bottleneck = false;      ///< bottleneck blocks; otherwise basic blocks
  std::array<int, 4> blocks{};  ///< of layer1 to layer4
  Stem stem = Stem::standard;
  /// layer3 and layer4 keep the size of layer2 and dilate their convolutions instead, like torchvision's
  /// replace_stride_with_dilation = [False, True, True]; unlike there, also with basic blocks.
  bool dilated = false;
};

constexpr ResNetShape resnet18_shape{.blocks = {2, 2, 2, 2}};
constexpr ResNetShape resnet34_shape{.blocks = {3, 4, 6, 3}};
constexpr ResNetShape resnet50_shape{.bottleneck = true, .blocks = {3, 4, 6, 3}};

struct ResNetFeatures {
  at::Tensor layer3;
  at::Tensor layer4;
};

/// conv1, bn1 and layer1 to layer4, with torchvision's names. A part of a module, not a module itself.
class ResNetLayers {
 public:
  /// Registers the layers in `owner`, with torch::nn's initial weights; see init_convolutions().
  ResNetLayers(torch::nn::Module& owner, const ResNetShape& shape, std::int64_t image_channels);

  /// images: N × channels × height × width. Both results have 1/32 of the image's height and width, or 1/8 if dilated;
  /// with the small stem, four times that.
  ResNetFeatures forward(const at::Tensor& images);

  /// The stages stem, layer1, ..., layer4. prefix: of the layers' names in the model.
  static std::vector<Stage> stages(const std::string& prefix);

  std::int64_t layer3_channels() const { return 256 * expansion_; }
  std::int64_t layer4_channels() const { return 512 * expansion_; }

 private:
  Branches stem(const at::Tensor& images);

  Stem stem_;
  std::int64_t expansion_;
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  std::array<torch::nn::Sequential, 4> layers_{nullptr, nullptr, nullptr, nullptr};
};

/// Initializes the weights of all convolutions in `module` like torchvision's ResNets: Kaiming normal (He et al. 2015),
/// fan-out.
void init_convolutions(torch::nn::Module& module);

}  // namespace trainyard
