// A multilayer perceptron for tables: the inputs are the numeric columns and an embedding of each categorical column;
// hidden layers have ReLU and dropout.

#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>

#include "config/component.h"
#include "models/category_embedding.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct MlpSettings {
  int width = 128;
  int depth = 2;
  int embedding = 8;
  double dropout = 0;

  void declare(SettingTable& table) {
    table.add("width", width, "elements of a hidden layer", whole(1, 65'536), Resume::fixed);
    table.add("depth", depth, "hidden layers", whole(1, 64), Resume::fixed);
    table.add("embedding", embedding, "elements of a category's embedding", whole(1, 4096), Resume::fixed);
    table.add("dropout", dropout, "share dropped from each hidden layer", number(0, 0.99), Resume::if_named);
  }
};
const ComponentSettings<MlpSettings> settings{"model.mlp", {"mlp"}, __FILE__};

class Mlp : public ModelModule {
 public:
  Mlp(const MlpSettings& config, const ModelInput& input) : dropout_(config.dropout) {
    std::int64_t width = 0;
    if (const Field* const numeric = find_field(input.fields, "numeric")) width += numeric->shape[0];
    if (const Field* const categorical = find_field(input.fields, "categorical")) {
      embedding = register_module("embedding", category_embedding(*categorical, config.embedding));
      width += categorical->shape[0] * config.embedding;
    }
    if (width == 0) {
      throw UsageError("model", "mlp takes tables, with the field 'numeric' or 'categorical'; samples have {}",
                       describe(input.fields));
    }
    for (int i = 0; i < config.depth; ++i) {
      hidden.push_back(register_module(fmt::format("hidden{}", i), torch::nn::Linear(width, config.width)));
      width = config.width;
    }
    fc = register_module("fc", torch::nn::Linear(width, input.outputs));
  }

  TensorDict forward(const TensorDict& batch) override {
    std::vector<at::Tensor> parts;
    if (const at::Tensor* const numeric = batch.find("numeric")) parts.push_back(*numeric);
    if (embedding) parts.push_back(embedding(batch.at("categorical")).flatten(1));
    at::Tensor x = at::cat(parts, 1);
    for (torch::nn::Linear& layer : hidden) x = at::dropout(layer(x).relu(), dropout_, is_training());
    return {{"logits", fc(x)}};
  }

 private:
  double dropout_;
  torch::nn::Embedding embedding = nullptr;
  std::vector<torch::nn::Linear> hidden;
  torch::nn::Linear fc = nullptr;
};

const ModelRegistry::Registration registered{
    "mlp", "for tables: hidden layers over the columns; categorical ones are embedded",
    [](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
      return std::make_shared<Mlp>(settings.in(config), input);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
