// Adam with decoupled weight decay (Loshchilov and Hutter 2019), like torch.optim.AdamW(fused=True).

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>

#include "config/component.h"
#include "optim/optimizer.h"

namespace trainyard {
namespace {

struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;

  void declare(SettingTable& table) {
    table.add("beta1", beta1, "decay of the first moment", number(0, 0.999999), Resume::fixed)
        .formerly("optimizer.beta1");
    table.add("beta2", beta2, "decay of the second moment", number(0, 0.999999), Resume::fixed)
        .formerly("optimizer.beta2");
    table.add("eps", eps, "added to the denominator", number(0, 1), Resume::fixed).formerly("optimizer.eps");
  }
};
const ComponentSettings<AdamWSettings> settings{"optimizer.adamw", {"adamw"}, __FILE__};

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerConfig& config, NamedTensors parameters)
      : Optimizer(config, std::move(parameters)),
        settings_(settings.in(config)),
        exp_avg_(add_state("exp_avg")),
        exp_avg_sq_(add_state("exp_avg_sq")),
        step_(add_state("step", /*scalar=*/true)) {}

 protected:
  void update(Group& group) override {
    std::vector<at::Tensor> exp_avgs = state_of(exp_avg_, group.indices);
    std::vector<at::Tensor> exp_avg_sqs = state_of(exp_avg_sq_, group.indices);
    std::vector<at::Tensor> steps = state_of(step_, group.indices);
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(group.parameters, group.gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps,
                      group.learning_rate, settings_.beta1, settings_.beta2, group.weight_decay, settings_.eps,
                      /*amsgrad=*/false, /*maximize=*/false, /*grad_scale=*/std::nullopt, group.found_inf);
    if (group.found_inf) at::_foreach_sub_(steps, std::vector<at::Tensor>(steps.size(), group.found_inf->squeeze()));
  }

 private:
  AdamWSettings settings_;
  std::size_t exp_avg_;
  std::size_t exp_avg_sq_;
  std::size_t step_;
};

const OptimizerRegistry::Registration registered{
    "adamw", "Adam with decoupled weight decay",
    [](const OptimizerConfig& config, NamedTensors parameters) -> std::unique_ptr<Optimizer> {
      return std::make_unique<AdamW>(config, std::move(parameters));
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
