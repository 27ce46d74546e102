// ResNet-18, -34 and -50 (He et al. 2015, "Deep Residual Learning for Image Recognition"; version 1.5: the stride is in
// the bottleneck's 3×3 convolution), with torchvision.models.resnet's parameter names and initial distributions.

#include "config/component.h"
#include "layers/global_average_pool.h"
#include "models/model_module.h"
#include "models/resnet_layers.h"

namespace trainyard {
namespace {

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

class ResNet : public ModelModule {
 public:
  ResNet(const ResNetShape& shape, const ModelInput& input)
      : layers_(*this, shape, input.image().channels),
        fc(register_module("fc", torch::nn::Linear(layers_.layer4_channels(), input.outputs))) {
    init_convolutions(*this);
  }

  TensorDict forward(const TensorDict& batch) override {
    return {{"logits", fc(global_average_pool(layers_.forward(batch.at("image")).layer4))}};
  }

  std::vector<Stage> stages() const override {
    std::vector<Stage> stages = ResNetLayers::stages("");
    stages.push_back({.name = "head", .prefixes = {"fc"}});
    return stages;
  }

  Adapted adapt(const std::string& name, const at::Tensor& given, const at::Tensor& wanted) const override {
    if (name != "conv1.weight" || given.dim() != 4 || given.size(2) == wanted.size(2)) return {};
    const bool is_small = wanted.size(2) == 3;
    return {.tensor = {}, .note = fmt::format("set model.resnet.stem to {}", is_small ? "standard" : "small")};
  }

 private:
  ResNetLayers layers_;
  torch::nn::Linear fc;
};

auto factory(const ResNetShape& shape) {
  return [shape](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    ResNetShape chosen = shape;
    chosen.stem = settings.in(config).stem;
    return std::make_shared<ResNet>(chosen, input);
  };
}

const ModelRegistry::Registration resnet18{"resnet18", "torchvision's ResNet-18", factory(resnet18_shape), __FILE__};
const ModelRegistry::Registration resnet34{"resnet34", "torchvision's ResNet-34", factory(resnet34_shape), __FILE__};
const ModelRegistry::Registration resnet50{"resnet50", "torchvision's ResNet-50", factory(resnet50_shape), __FILE__};

}  // namespace
}  // namespace trainyard
