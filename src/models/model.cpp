#include "models/model.h"

#include <algorithm>
#include <map>

#include <fmt/ranges.h>

#include <torch/nn/module.h>

#include "util/error.h"

namespace trainyard {
namespace {

void append_state(const torch::nn::Module& module, const std::string& prefix, NamedTensors& state) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) state.emplace_back(prefix + item.key(), *item);
  for (const auto& item : module.named_buffers(/*recurse=*/false)) state.emplace_back(prefix + item.key(), *item);
  for (const auto& child : module.named_children()) append_state(*child.value(), prefix + child.key() + ".", state);
}

}  // namespace

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
void Model::train(bool on) { module().train(on); }
void Model::to(at::Device device) { module().to(device); }

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
  std::map<std::string, at::Tensor> given(state.begin(), state.end());
  std::string problems;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (auto& [name, target] : model.state_dict()) {
    const auto found = given.find(name);
    if (found == given.end()) {
      problems += fmt::format("\n  missing: {}", name);
      continue;
    }
    if (found->second.sizes() != target.sizes()) {
      problems += fmt::format("\n  {} has shape [{}], the model's has [{}]", name,
                              fmt::join(found->second.sizes(), ", "), fmt::join(target.sizes(), ", "));
    }
    copies.emplace_back(target, found->second);
    given.erase(found);
  }
  for (const auto& [name, tensor] : given) problems += fmt::format("\n  unexpected: {}", name);
  if (!problems.empty()) throw RunError("model", "the weights of {} do not fit this model:{}", origin, problems);

  const at::NoGradGuard no_grad;
  for (auto& [target, source] : copies) target.copy_(source);
}

void load_weights(Model& model, const NamedTensors& state, bool reset_head, const std::string& origin) {
  const std::string head = model.head() + ".";
  NamedTensors chosen;
  for (const auto& [name, tensor] : state) {
    if (!reset_head || !name.starts_with(head)) chosen.emplace_back(name, tensor);
  }
  bool head_fits = true;
  for (const auto& [name, tensor] : model.state_dict()) {
    if (!name.starts_with(head)) continue;
    if (reset_head) chosen.emplace_back(name, tensor);
    const auto found =
        std::find_if(state.begin(), state.end(), [&wanted = name](const auto& p) { return p.first == wanted; });
    head_fits = head_fits && found != state.end() && found->second.sizes() == tensor.sizes();
  }
  try {
    load_state_dict(model, chosen, origin);
  } catch (const RunError& error) {
    if (head_fits || reset_head) throw;
    throw_error(error.code(),
                fmt::format("{}\nFor other classes, --model.reset_head draws {} anew", error.what(), model.head()));
  }
}

}  // namespace trainyard
