#include "models/model.h"

#include <map>

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

std::int64_t parameter_count(const torch::nn::Module& model) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) count += parameter.numel();
  return count;
}

NamedTensors state_dict(const torch::nn::Module& model) {
  NamedTensors state;
  append_state(model, "", state);
  return state;
}

void load_state_dict(torch::nn::Module& model, const NamedTensors& state, const std::string& origin) {
  std::map<std::string, at::Tensor> given(state.begin(), state.end());
  std::string problems;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (auto& [name, target] : state_dict(model)) {
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

}  // namespace trainyard
