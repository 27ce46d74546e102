// Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW(fused=True).

#include "optim/optimizer.h"

namespace trainyard {
namespace {

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerConfig& config, NamedTensors parameters)
      : Optimizer(std::move(parameters)),
        config_(config),
        exp_avg_(add_state("exp_avg")),
        exp_avg_sq_(add_state("exp_avg_sq")),
        step_(add_state("step", /*scalar=*/true)) {}

 protected:
  void update(const std::vector<std::size_t>& indices, std::vector<at::Tensor>& parameters,
              std::vector<at::Tensor>& gradients) override {
    std::vector<at::Tensor> exp_avgs = state_of(exp_avg_, indices);
    std::vector<at::Tensor> exp_avg_sqs = state_of(exp_avg_sq_, indices);
    std::vector<at::Tensor> steps = state_of(step_, indices);
    at::_foreach_add_(steps, 1);
    at::_fused_adamw_(parameters, gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps, learning_rate(),
                      config_.beta1, config_.beta2, config_.weight_decay, config_.eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  }

 private:
  OptimizerConfig config_;
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
