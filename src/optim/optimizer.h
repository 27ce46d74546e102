/// Optimizers that use LibTorch's fused kernels and keep all state in named tensors, so that checkpoints can store it.
/// A new optimizer is one file here that registers itself.
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

  /// Updates the parameters with the current learning rate. Skips parameters without a gradient. found_inf: if defined,
  /// one float on the device; if it is 1, the step changes nothing, as in torch.amp.GradScaler.
  void step(const at::Tensor& found_inf = {});

  /// The learning rate is stored in tensors on the parameters' device, because a captured CUDA graph would always
  /// replay the same number.
  void set_learning_rate(double rate);

  /// From now on, multiplies the learning rate of each parameter, in the order given to the constructor, by its scale;
  /// initially all scales are 1. Call it before set_learning_rate().
  void scale_learning_rates(const std::vector<double>& scales);

  /// Drops all gradients.
  void zero_grad();

  /// The parameters that this optimizer updates; shared with the model.
  const NamedTensors& parameters() const { return parameters_; }

  /// The defined gradients of the parameters, not copies.
  std::vector<at::Tensor> gradients() const;

  /// All state needed to resume bit-identically, named "<state>.<parameter>". Shares the optimizer's memory, so that a
  /// resume can copy into these tensors.
  NamedTensors state() const;

 protected:
  /// Parameters that one call of update() updates.
  struct Group {
    std::vector<std::size_t> indices;  ///< of these parameters among all parameters
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> gradients;
    at::Tensor learning_rate;  ///< a scalar on the parameters' device: double on the CPU, float on a GPU
    double weight_decay;
    std::optional<at::Tensor> found_inf;  ///< the argument of step(): if it is 1, nothing may change
  };

  /// Updates parameters from gradients in place. Called once per step for each combination of weight decay and learning
  /// rate.
  virtual void update(Group& group) = 0;

  /// Adds one state tensor per parameter, initially zero: of the parameter's shape or, if `scalar`, a float32 scalar.
  /// Returns the slot of the state. Called only by constructors of derived classes.
  std::size_t add_state(const std::string& name, bool scalar = false);
  /// The tensors of the state `slot`, returned by add_state(), for the parameters at `indices`.
  std::vector<at::Tensor> state_of(std::size_t slot, const std::vector<std::size_t>& indices) const;

 private:
  NamedTensors parameters_;
  std::vector<double> weight_decays_;   // per parameter
  std::vector<Group> groups_;           // templates without parameters and gradients; step() adds them
  std::vector<std::size_t> group_of_;   // per parameter
  at::Tensor scales_, learning_rates_;  // per group
  std::vector<std::pair<std::string, std::vector<at::Tensor>>> states_;
};

struct OptimizerKind {
  static constexpr const char* name = "optimizer";
};

using OptimizerRegistry = Registry<OptimizerKind, std::unique_ptr<Optimizer>(const OptimizerConfig&, NamedTensors)>;

/// Creates the optimizer named by `config.name` for the parameters of `model` that require a gradient. The learning
/// rate of the stage n stages before the last one (Model::stages) is multiplied by config.layer_decay^n, as in BEiT.
/// Throws UsageError for an unknown name.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, const Model& model);

}  // namespace trainyard
