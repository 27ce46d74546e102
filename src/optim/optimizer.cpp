#include "optim/optimizer.h"

#include <cmath>
#include <map>

#include <ATen/ops/mul.h>
#include <ATen/ops/zeros_like.h>

#include "models/stages.h"

namespace trainyard {
namespace {

std::vector<double> layer_scales(double decay, const Model& model, const NamedTensors& parameters) {
  const std::vector<Stage> stages = model.stages();
  std::vector<double> scales;
  for (const auto& [name, parameter] : parameters) {
    scales.push_back(std::pow(decay, static_cast<double>(stages.size() - 1 - stage_of(stages, name))));
  }
  return scales;
}

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, NamedTensors parameters) : parameters_(std::move(parameters)) {
  for (const auto& [name, parameter] : parameters_) {
    // Excludes biases, norms, class tokens and position embeddings, which are vectors or not named "weight".
    const bool decays = config.decay_bias_norm || (parameter.dim() > 1 && name.ends_with("weight"));
    weight_decays_.push_back(decays ? config.weight_decay : 0);
  }
  scale_learning_rates(std::vector<double>(parameters_.size(), 1));
}

void Optimizer::scale_learning_rates(const std::vector<double>& scales) {
  std::map<std::pair<double, double>, std::size_t> places;
  std::vector<double> group_scales;
  groups_.clear();
  group_of_.clear();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto [place, is_new] = places.try_emplace({scales[i], weight_decays_[i]}, groups_.size());
    group_of_.push_back(place->second);
    if (!is_new) continue;
    groups_.push_back({.weight_decay = weight_decays_[i]});
    group_scales.push_back(scales[i]);
  }
  const at::Device device = parameters_.empty() ? at::Device(at::kCPU) : parameters_.front().second.device();
  // The types that the fused kernels require: float on a GPU, double on the CPU.
  scales_ = at::tensor(group_scales, at::kDouble).to(device, device.is_cpu() ? at::kDouble : at::kFloat);
  learning_rates_ = at::zeros_like(scales_);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    groups_[i].learning_rate = learning_rates_[static_cast<std::int64_t>(i)];
  }
}

void Optimizer::set_learning_rate(double rate) {
  at::mul_out(learning_rates_, scales_, at::scalar_tensor(rate, at::kDouble));
}

void Optimizer::step(const at::Tensor& found_inf) {
  const at::NoGradGuard no_grad;
  std::vector<Group> groups = groups_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& gradient = parameters_[i].second.grad();
    if (!gradient.defined()) continue;
    Group& group = groups[group_of_[i]];
    group.indices.push_back(i);
    group.parameters.push_back(parameters_[i].second);
    group.gradients.push_back(gradient);
  }
  for (Group& group : groups) {
    if (found_inf.defined()) group.found_inf = found_inf;
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
  std::unique_ptr<Optimizer> optimizer = OptimizerRegistry::make(config.name, config, parameters);
  if (config.layer_decay != 1) optimizer->scale_learning_rates(layer_scales(config.layer_decay, model, parameters));
  return optimizer;
}

}  // namespace trainyard
