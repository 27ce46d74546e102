// The linear baseline. Scores of a sample are linear in all pixels or in the columns of a table: logistic or linear
// regression. Scores of a pixel are a convolution over the square patch around it: logistic regression per pixel.

#include "config/component.h"
#include "models/category_embedding.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct LinearSettings {
  int patch = 5;

  void declare(SettingTable& table) {
    table.add("patch", patch,
              "for outputs per pixel: side of the patch around a pixel that they are computed from, odd", whole(1, 63),
              Resume::fixed);
  }
  void validate() const {
    if (patch % 2 == 0) throw UsageError("model.linear.patch", "{} is even; choose an odd number", patch);
  }
};
const ComponentSettings<LinearSettings> settings{"model.linear", {"linear"}, __FILE__};

class LinearInImage : public ModelModule {
 public:
  explicit LinearInImage(const ModelInput& input) {
    const auto [channels, height, width] = input.image();
    fc = register_module("fc", torch::nn::Linear(channels * height * width, input.outputs));
  }

  TensorDict forward(const TensorDict& batch) override { return {{"logits", fc(batch.at("image").flatten(1))}}; }

 private:
  torch::nn::Linear fc = nullptr;
};

class LinearInPatches : public ModelModule {
 public:
  LinearInPatches(const ModelInput& input, int patch)
      : fc(register_module(
            "fc", torch::nn::Conv2d(
                      torch::nn::Conv2dOptions(input.image().channels, input.outputs, patch).padding(patch / 2)))) {}

  TensorDict forward(const TensorDict& batch) override { return {{"logits", fc(batch.at("image"))}}; }

 private:
  torch::nn::Conv2d fc;
};

// Categories are one-hot: each has one weight per score, initially zero.
class LinearInColumns : public ModelModule {
 public:
  explicit LinearInColumns(const ModelInput& input) : bias(register_parameter("bias", at::zeros({input.outputs}))) {
    if (const Field* const field = find_field(input.fields, "numeric")) {
      numeric = register_module(
          "numeric", torch::nn::Linear(torch::nn::LinearOptions(field->shape[0], input.outputs).bias(false)));
    }
    if (const Field* const field = find_field(input.fields, "categorical")) {
      categorical = register_module("categorical", category_embedding(*field, input.outputs));
      const at::NoGradGuard no_grad;
      categorical->weight.zero_();
    }
  }

  TensorDict forward(const TensorDict& batch) override {
    at::Tensor logits = bias;
    if (categorical) logits = logits + categorical(batch.at("categorical")).sum(1);
    if (numeric) logits = logits + numeric(batch.at("numeric"));
    return {{"logits", logits}};
  }

  bool is_of_head(const std::string& /*name*/) const override { return true; }

 private:
  at::Tensor bias;
  torch::nn::Linear numeric = nullptr;
  torch::nn::Embedding categorical = nullptr;
};

const ModelRegistry::Registration registered{
    "linear", "a baseline, linear in the image, in the patch around each pixel, or in a table's columns",
    [](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
      const bool is_table = find_field(input.fields, "numeric") || find_field(input.fields, "categorical");
      if (is_table) return std::make_shared<LinearInColumns>(input);
      if (input.logits.size() == 3) return std::make_shared<LinearInPatches>(input, settings.in(config).patch);
      return std::make_shared<LinearInImage>(input);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
