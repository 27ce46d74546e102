/// Optimizers: LibTorch's fused kernels, with all state in named tensors so that a checkpoint can carry it. A new one
/// is one file here that registers itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "models/model.h"
#include "util/named_tensors.h"
#include "util/registry.h"
#include "util/torch.h"

namespace trainyard {

/// Updates parameters from their gradients. Used from one thread.
class Optimizer {
 public:
  /// `parameters` are leaves that require gradients, all on one device; shared with the model.
  Optimizer(const OptimizerConfig& config, NamedTensors parameters);
  virtual ~Optimizer() = default;

  /// One update with the learning rate last set. Parameters without a gradient are passed over. `found_inf`, where
  /// defined, is one float on the device: 1 makes the step change nothing, as in torch.amp.GradScaler.
  void step(const at::Tensor& found_inf = {});

  /// The learning rate lives in a tensor on the parameters' device: a captured CUDA graph would replay a plain number
  /// frozen.
  void set_learning_rate(double rate);

  /// Drops all gradients.
  void zero_grad();

  /// The gradients there are. Share the parameters' memory.
  std::vector<at::Tensor> gradients() const;

  /// All state that a bit-exact continuation needs, as "<state>.<parameter>". Shares the optimizer's memory: a resume
  /// copies into these tensors.
  NamedTensors state() const;

 protected:
  /// Parameters that one call updates.
  struct Group {
    std::vector<std::size_t> indices;  ///< their places among all parameters
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> gradients;
    double weight_decay;
    std::optional<at::Tensor> found_inf;  ///< what step() was given: nothing may change where it is 1
  };

  /// Updates parameters from gradients in place. Once a step for each weight decay there is.
  virtual void update(Group& group) = 0;

  /// Declares one state tensor a parameter, zero at first: a copy of the parameter's shape, or one float each where
  /// `scalar`. Called by constructors of derived classes only.
  std::size_t add_state(const std::string& name, bool scalar = false);
  /// The tensors of state `slot` (what add_state returned) for the parameters of `indices`.
  std::vector<at::Tensor> state_of(std::size_t slot, const std::vector<std::size_t>& indices) const;

  const at::Tensor& learning_rate() const { return learning_rate_; }

 private:
  NamedTensors parameters_;
  double weight_decay_;
  std::vector<bool> decayed_;
  at::Tensor learning_rate_;
  std::vector<std::pair<std::string, std::vector<at::Tensor>>> states_;
};

struct OptimizerKind {
  static constexpr const char* name = "optimizer";
};

using OptimizerRegistry = Registry<OptimizerKind, std::unique_ptr<Optimizer>(const OptimizerConfig&, NamedTensors)>;

/// The optimizer named by `config.name` over `model`'s parameters. Throws UsageError for an unknown name.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, const Model& model);

}  // namespace trainyard
