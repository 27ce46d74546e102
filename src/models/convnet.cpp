// A small convolutional net for images of about 28 × 28 pixels: four 3×3 convolutions with batch normalization and
// ReLU, then global average pooling and one linear layer. It trains on two CPU cores in two minutes: the first three
// blocks halve the image before the normalization, which then reads and writes only a quarter of the elements.

#include <array>

#include "layers/conv_norm.h"
#include "layers/global_average_pool.h"
#include "layers/max_pool.h"
#include "models/convolution.h"
#include "models/model_module.h"
#include "util/error.h"

namespace trainyard {
namespace {

constexpr std::array<std::int64_t, 4> widths = {24, 64, 96, 128};

class ConvNet : public ModelModule {
 public:
  explicit ConvNet(const ModelInput& input)
      : conv1(register_module("conv1", convolution(input.image().channels, widths[0]))),
        bn1(register_module("bn1", BatchNorm(widths[0]))),
        conv2(register_module("conv2", convolution(widths[0], widths[1]))),
        bn2(register_module("bn2", BatchNorm(widths[1]))),
        conv3(register_module("conv3", convolution(widths[1], widths[2]))),
        bn3(register_module("bn3", BatchNorm(widths[2]))),
        conv4(register_module("conv4", convolution(widths[2], widths[3]))),
        bn4(register_module("bn4", BatchNorm(widths[3]))),
        fc(register_module("fc", torch::nn::Linear(widths[3], input.outputs))) {}

  TensorDict forward(const TensorDict& batch) override {
    at::Tensor x = bn1->relu(max_pool(conv1(batch.at("image")), 2, 2));
    x = bn2->relu(max_pool(conv2(x), 2, 2));
    x = bn3->relu(max_pool(conv3(x), 2, 2));
    x = conv_norm_relu(conv4, bn4, x);
    return {{"logits", fc(global_average_pool(x))}};
  }

  std::vector<Stage> stages() const override {
    return {{.name = "conv1", .prefixes = {"conv1", "bn1"}},
            {.name = "conv2", .prefixes = {"conv2", "bn2"}},
            {.name = "conv3", .prefixes = {"conv3", "bn3"}},
            {.name = "conv4", .prefixes = {"conv4", "bn4"}},
            {.name = "head", .prefixes = {"fc"}}};
  }

 private:
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  torch::nn::Conv2d conv2;
  BatchNorm bn2;
  torch::nn::Conv2d conv3;
  BatchNorm bn3;
  torch::nn::Conv2d conv4;
  BatchNorm bn4;
  torch::nn::Linear fc;
};

const ModelRegistry::Registration registered{
    "convnet", "four convolutions for images of about 28 px; trains on a CPU",
    [](const ModelConfig&, const ModelInput& input) -> std::shared_ptr<Model> {
      const ImageShape image = input.image();
      if (image.height < 8 || image.width < 8) {
        throw UsageError("model", "convnet halves the image three times and needs at least 8×8 pixels, not {}×{}",
                         image.height, image.width);
      }
      return std::make_shared<ConvNet>(input);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
