// Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"): updates by the sign of a momentum, so every
// weight moves by the learning rate. Learning rates are 3 to 10 times smaller than AdamW's, and weight decay larger by
// the same factor. LibTorch has no fused kernel for it: this is an example of an optimizer built from ATen's foreach
// operations.

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/_foreach_sub.h>

#include "config/component.h"
#include "optim/optimizer.h"

namespace trainyard {
namespace {

struct LionSettings {
  double beta1 = 0.9;
  double beta2 = 0.99;

  void declare(SettingTable& table) {
    table.add("beta1", beta1, "share of the momentum in an update", number(0, 0.999999), Resume::fixed)
        .formerly("optimizer.beta1");
    table.add("beta2", beta2, "decay of the momentum", number(0, 0.999999), Resume::fixed).formerly("optimizer.beta2");
  }
};
const ComponentSettings<LionSettings> settings{"optimizer.lion", {"lion"}, __FILE__};

std::vector<at::Tensor> both(std::vector<at::Tensor> some, const std::vector<at::Tensor>& others) {
  some.insert(some.end(), others.begin(), others.end());
  return some;
}

class Lion : public Optimizer {
 public:
  Lion(const OptimizerConfig& config, NamedTensors parameters)
      : Optimizer(config, std::move(parameters)), settings_(settings.in(config)), exp_avg_(add_state("exp_avg")) {}

 protected:
  void update(Group& group) override {
    const std::vector<at::Tensor> exp_avgs = state_of(exp_avg_, group.indices);
    // These kernels cannot skip an update: if found_inf is 1, the previous values are restored.
    const auto changed = group.found_inf ? both(group.parameters, exp_avgs) : std::vector<at::Tensor>();
    std::vector<at::Tensor> before;
    for (const at::Tensor& tensor : changed) before.push_back(tensor.clone());

    std::vector<at::Tensor> updates = at::_foreach_lerp(exp_avgs, group.gradients, 1 - settings_.beta1);
    at::_foreach_sign_(updates);
    at::_foreach_add_(updates, group.parameters, group.weight_decay);
    at::_foreach_mul_(updates, group.learning_rate.to(at::kFloat));
    at::_foreach_sub_(group.parameters, updates);
    at::_foreach_lerp_(exp_avgs, group.gradients, 1 - settings_.beta2);

    if (!group.found_inf) return;
    const at::Tensor changes_nothing = group.found_inf->to(at::kBool);
    for (std::size_t i = 0; i < changed.size(); ++i) {
      changed[i].copy_(at::where(changes_nothing, before[i], changed[i]));
    }
  }

 private:
  LionSettings settings_;
  std::size_t exp_avg_;
};

const OptimizerRegistry::Registration registered{
    "lion", "sign of the momentum, decoupled weight decay",
    [](const OptimizerConfig& config, NamedTensors parameters) -> std::unique_ptr<Optimizer> {
      return std::make_unique<Lion>(config, std::move(parameters));
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
