// Stochastic gradient descent with momentum, like torch.optim.SGD(fused=True): the L2 penalty is added to the gradient.

#include <ATen/ops/_fused_sgd.h>

#include "config/component.h"
#include "optim/optimizer.h"

namespace trainyard {
namespace {

struct SgdSettings {
  double momentum = 0.9;
  bool nesterov = true;

  void declare(SettingTable& table) {
    table.add("momentum", momentum, "momentum; 0: none", number(0, 1), Resume::if_named).formerly("optimizer.momentum");
    table.add("nesterov", nesterov, "Nesterov's momentum", Resume::if_named).formerly("optimizer.nesterov");
  }
  void validate() const {
    if (nesterov && momentum == 0) {
      throw UsageError("optimizer.sgd.nesterov",
                       "needs optimizer.sgd.momentum over 0; set optimizer.sgd.nesterov = false");
    }
  }
};
const ComponentSettings<SgdSettings> settings{"optimizer.sgd", {"sgd"}, __FILE__};

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerConfig& config, NamedTensors parameters)
      : Optimizer(config, std::move(parameters)), settings_(settings.in(config)) {
    if (settings_.momentum != 0) momentum_buffer_ = add_state("momentum_buffer");
  }

 protected:
  void update(Group& group) override {
    // With a zero buffer the first step equals PyTorch's: momentum × 0 + gradient.
    std::vector<at::Tensor> buffers;
    if (settings_.momentum != 0) buffers = state_of(momentum_buffer_, group.indices);
    at::_fused_sgd_(group.parameters, group.gradients, buffers, group.weight_decay, settings_.momentum,
                    group.learning_rate,
                    /*dampening=*/0, settings_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/std::nullopt, group.found_inf);
  }

 private:
  SgdSettings settings_;
  std::size_t momentum_buffer_ = 0;
};

const OptimizerRegistry::Registration registered{
    "sgd", "SGD with plain or Nesterov momentum and L2 penalty",
    [](const OptimizerConfig& config, NamedTensors parameters) -> std::unique_ptr<Optimizer> {
      return std::make_unique<Sgd>(config, std::move(parameters));
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
