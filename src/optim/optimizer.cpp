#include "optim/optimizer.h"

#include <ATen/ops/zeros_like.h>

namespace trainyard {

Optimizer::Optimizer(const OptimizerConfig& config, NamedTensors parameters)
    : parameters_(std::move(parameters)), weight_decay_(config.weight_decay) {
  const at::Device device = parameters_.empty() ? at::Device(at::kCPU) : parameters_.front().second.device();
  // What the fused kernels read: a float on the GPU, a double on the CPU.
  learning_rate_ = at::zeros({}, at::TensorOptions(device).dtype(device.is_cpu() ? at::kDouble : at::kFloat));
  for (const auto& [name, parameter] : parameters_) {
    // Biases, norms, class tokens and position embeddings are vectors or have names of their own.
    decayed_.push_back(config.decay_bias_norm || (parameter.dim() > 1 && name.ends_with("weight")));
  }
}

void Optimizer::step(const at::Tensor& found_inf) {
  const at::NoGradGuard no_grad;
  for (const bool decayed : {true, false}) {
    Group group{.indices = {},
                .parameters = {},
                .gradients = {},
                .weight_decay = decayed ? weight_decay_ : 0,
                .found_inf = found_inf.defined() ? std::optional(found_inf) : std::nullopt};
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor& gradient = parameters_[i].second.grad();
      if (decayed_[i] != decayed || !gradient.defined()) continue;
      group.indices.push_back(i);
      group.parameters.push_back(parameters_[i].second);
      group.gradients.push_back(gradient);
    }
    if (!group.parameters.empty()) update(group);
  }
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> result;
  for (const auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined()) result.push_back(parameter.grad());
  }
  return result;
}

void Optimizer::set_learning_rate(double rate) { learning_rate_.fill_(rate); }

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
}

NamedTensors Optimizer::state() const {
  NamedTensors result;
  for (const auto& [state, tensors] : states_) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      result.emplace_back(state + "." + parameters_[i].first, tensors[i]);
    }
  }
  return result;
}

std::size_t Optimizer::add_state(const std::string& name, bool scalar) {
  std::vector<at::Tensor> tensors;
  for (const auto& [parameter_name, parameter] : parameters_) {
    tensors.push_back(scalar ? at::zeros({}, parameter.options().dtype(at::kFloat)) : at::zeros_like(parameter));
  }
  states_.emplace_back(name, std::move(tensors));
  return states_.size() - 1;
}

std::vector<at::Tensor> Optimizer::state_of(std::size_t slot, const std::vector<std::size_t>& indices) const {
  std::vector<at::Tensor> tensors;
  tensors.reserve(indices.size());
  for (const std::size_t i : indices) tensors.push_back(states_[slot].second[i]);
  return tensors;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, const Model& model) {
  NamedTensors parameters;
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (parameter.requires_grad()) parameters.emplace_back(name, parameter);
  }
  return OptimizerRegistry::make(config.name, config, std::move(parameters));
}

}  // namespace trainyard
