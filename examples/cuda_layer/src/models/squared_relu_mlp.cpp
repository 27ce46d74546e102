// An image classifier of two layers with a squared ReLU between them.

#include "layers/squared_relu.h"
#include "models/layers.h"
#include "models/model_module.h"

namespace trainyard {
namespace {

class SquaredReluMlp : public ModelModule {
 public:
  explicit SquaredReluMlp(const ModelInput& input)
      : hidden_(register_module("hidden", torch::nn::Linear(elements(input.image()), 64))),
        head_(register_module("head", torch::nn::Linear(64, input.outputs))) {}

  TensorDict forward(const TensorDict& batch) override {
    return {{"logits", head_(squared_relu(hidden_(batch.at("image").flatten(1))))}};
  }

  std::string head() const override { return "head"; }

 private:
  static std::int64_t elements(const ImageShape& image) { return image.channels * image.height * image.width; }

  torch::nn::Linear hidden_;
  torch::nn::Linear head_;
};

const ModelRegistry::Registration registered{"squared_relu_mlp", "two layers with a squared ReLU between them",
                                             [](const ModelConfig&, const ModelInput& input) -> std::shared_ptr<Model> {
                                               return std::make_shared<SquaredReluMlp>(input);
                                             },
                                             __FILE__};

}  // namespace
}  // namespace trainyard
