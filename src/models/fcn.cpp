// Fully convolutional networks (Long et al. 2015, "Fully Convolutional Networks for Semantic Segmentation") on a
// ResNet, as torchvision.models.segmentation.fcn_resnet50 builds them. torchvision has no variant with a ResNet-18; the
// one here is built in the same way.

#include "config/component.h"
#include "models/segmentation_resnet.h"

namespace trainyard {
namespace {

struct FcnSettings {
  double dropout = 0.1;
  bool aux = false;

  void declare(SettingTable& table) {
    table.add("dropout", dropout, "share dropped before the last layer of each head", number(0, 0.99),
              Resume::if_named);
    table.add("aux", aux, "add a second head on layer3, whose output a task may include in the loss", Resume::fixed);
  }
};
const ComponentSettings<FcnSettings> settings{"model.fcn", {"fcn_resnet18", "fcn_resnet50"}, __FILE__};

auto factory(const ResNetShape& shape) {
  return [shape](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    const auto [dropout, aux] = settings.in(config);
    const auto head = [&, dropout = dropout](std::int64_t channels) {
      return std::make_shared<FcnHead>(channels, input.outputs, dropout);
    };
    return std::make_shared<SegmentationResNet>(shape, input, head, aux ? std::optional(dropout) : std::nullopt);
  };
}

const ModelRegistry::Registration fcn_resnet18{
    "fcn_resnet18", "FCN on a ResNet-18, built as torchvision's fcn_resnet50", factory(resnet18_shape), __FILE__};
const ModelRegistry::Registration fcn_resnet50{"fcn_resnet50", "torchvision's FCN for segmentation, on a ResNet-50",
                                               factory(resnet50_shape), __FILE__};

}  // namespace
}  // namespace trainyard
