#include "models/model.h"

#include <algorithm>

#include <torch/nn/module.h>

#include "layers/batch_norm.h"
#include "models/tensor_fit.h"
#include "util/error.h"

namespace trainyard {
namespace {

void append_state(const torch::nn::Module& module, const std::string& prefix, NamedTensors& state) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) state.emplace_back(prefix + item.key(), *item);
  for (const auto& item : module.named_buffers(/*recurse=*/false)) state.emplace_back(prefix + item.key(), *item);
  for (const auto& child : module.named_children()) append_state(*child.value(), prefix + child.key() + ".", state);
}

bool is_frozen(const torch::nn::Module& module) {
  const std::vector<at::Tensor> parameters = module.parameters();
  return !parameters.empty() && std::none_of(parameters.begin(), parameters.end(),
                                             [](const at::Tensor& parameter) { return parameter.requires_grad(); });
}

}  // namespace

const Field& ModelInput::field(std::string_view name) const {
  if (const Field* const found = find_field(fields, name)) return *found;
  throw UsageError("model", "the model needs a field '{}'; samples have {}", name, describe(fields));
}

ImageShape ModelInput::image() const {
  const Field& image = field("image");
  if (image.has_pixels()) {
    return {.channels = image.shape[2], .height = image.shape[0], .width = image.shape[1]};
  }
  throw UsageError("model", "the model takes images of height x width x channels, uint8 or float32; samples have {}",
                   describe(fields));
}

ModelInput image_input(const ImageShape& image, std::int64_t outputs) {
  return {.fields = {{.name = "image", .shape = {image.height, image.width, image.channels}}},
          .outputs = outputs,
          .logits = {outputs}};
}

TensorDict zero_batch(const ModelInput& input, std::int64_t count, at::Device device) {
  TensorDict batch;
  for (const Field& field : input.fields) {
    std::vector<std::int64_t> shape = field.shape;
    if (field.has_pixels()) shape = {shape[2], shape[0], shape[1]};
    shape.insert(shape.begin(), count);
    const bool is_float = field.has_pixels() || field.dtype == DType::float32;  // normalized pixels are float32
    batch.set(field.name, at::zeros(shape, at::TensorOptions(device).dtype(is_float ? at::kFloat : at::kLong)));
  }
  return batch;
}

std::shared_ptr<Model> make_model(const ModelConfig& config, const ModelInput& input) {
  return ModelRegistry::make(config.name, config, input);
}

NamedTensors Model::named_parameters() const {
  NamedTensors parameters;
  for (const auto& item : module().named_parameters()) parameters.emplace_back(item.key(), item.value());
  return parameters;
}

std::vector<at::Tensor> Model::parameters() const { return module().parameters(); }
std::vector<at::Tensor> Model::buffers() const { return module().buffers(); }
bool Model::is_training() const { return module().is_training(); }
void Model::to(at::Device device) { module().to(device); }

void Model::train(bool on) {
  module().train(on);
  if (!on) return;
  for (const auto& part : module().modules(/*include_self=*/false)) {
    if (is_frozen(*part)) part->eval();
  }
}

void Model::synchronize_batch_norm(const AllReduce& all_reduce) {
  for (const auto& part : module().modules(/*include_self=*/false)) {
    if (auto* const norm = dynamic_cast<BatchNormImpl*>(part.get())) {
      norm->synchronize(all_reduce);
    } else if (part->name().find("BatchNorm") != std::string::npos) {
      throw UsageError(
          "distributed.sync_batch_norm",
          "the model has a {}, which knows of one process only; use BatchNorm of layers/batch_norm.h in it, "
          "or set distributed.sync_batch_norm = false",
          part->name());
    }
  }
}

std::vector<Stage> Model::stages() const {
  std::vector<Stage> stages;
  for (const auto& [name, parameter] : named_parameters()) {
    const std::string first = name.substr(0, name.find('.'));
    const bool is_new = std::none_of(stages.begin(), stages.end(), [&](const Stage& s) { return s.name == first; });
    if (is_new) stages.push_back({.name = first, .prefixes = {first}});
  }
  return stages;
}

std::string Model::unsupported_variant(const NamedTensors& /*tensors*/) const { return ""; }

Adapted Model::adapt(const std::string& /*name*/, const at::Tensor& /*given*/, const at::Tensor& /*wanted*/) const {
  return {};
}

NamedTensors Model::state_dict() const {
  NamedTensors state;
  append_state(module(), "", state);
  return state;
}

std::int64_t parameter_count(const Model& model) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) count += parameter.numel();
  return count;
}

void load_state_dict(Model& model, const NamedTensors& state, const std::string& origin) {
  const TensorFit fit(model.state_dict(), state, Types::same);
  if (!fit.whole()) throw RunError("checkpoint", "{}: {}", origin, fit.problems("the model"));
  fit.copy();
}

}  // namespace trainyard
