// Stochastic gradient descent with momentum, as torch.optim.SGD(fused=True): the L2 penalty is added to the gradient.

#include <ATen/ops/_fused_sgd.h>

#include "optim/optimizer.h"

namespace trainyard {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerConfig& config, NamedTensors parameters)
      : Optimizer(config, std::move(parameters)), config_(config) {
    if (config.nesterov && config.momentum == 0) {
      throw UsageError("optimizer.nesterov", "Nesterov's momentum needs optimizer.momentum over 0, it is {}",
                       config.momentum);
    }
    if (config.momentum != 0) momentum_buffer_ = add_state("momentum_buffer");
  }

 protected:
  void update(Group& group) override {
    // A buffer of zeros makes the first step what PyTorch's is: momentum × 0 + gradient.
    std::vector<at::Tensor> buffers;
    if (config_.momentum != 0) buffers = state_of(momentum_buffer_, group.indices);
    at::_fused_sgd_(group.parameters, group.gradients, buffers, group.weight_decay, config_.momentum, learning_rate(),
                    /*dampening=*/0, config_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/std::nullopt, group.found_inf);
  }

 private:
  OptimizerConfig config_;
  std::size_t momentum_buffer_ = 0;
};

const OptimizerRegistry::Registration registered{
    "sgd", "SGD with momentum, Nesterov's or plain, and L2 penalty",
    [](const OptimizerConfig& config, NamedTensors parameters) -> std::unique_ptr<Optimizer> {
      return std::make_unique<Sgd>(config, std::move(parameters));
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
