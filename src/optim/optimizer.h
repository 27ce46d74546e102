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

  /// The learning rate lives in tensors on the parameters' device: a captured CUDA graph would replay a plain number
  /// frozen.
  void set_learning_rate(double rate);

  /// From now on each parameter, in the order given to the constructor, has its own share of the learning rate; at
  /// first all have 1. To be called before set_learning_rate().
  void scale_learning_rates(const std::vector<double>& scales);

  /// Drops all gradients.
  void zero_grad();

  /// What it updates; shared with the model.
  const NamedTensors& parameters() const { return parameters_; }

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
    at::Tensor learning_rate;  ///< a scalar on the parameters' device: double on the CPU, float on a GPU
    double weight_decay;
    std::optional<at::Tensor> found_inf;  ///< what step() was given: nothing may change where it is 1
  };

  /// Updates parameters from gradients in place. Once a step for each pair of weight decay and learning rate there is.
  virtual void update(Group& group) = 0;

  /// Declares one state tensor a parameter, zero at first: a copy of the parameter's shape, or one float each where
  /// `scalar`. Called by constructors of derived classes only.
  std::size_t add_state(const std::string& name, bool scalar = false);
  /// The tensors of state `slot` (what add_state returned) for the parameters of `indices`.
  std::vector<at::Tensor> state_of(std::size_t slot, const std::vector<std::size_t>& indices) const;

 private:
  NamedTensors parameters_;
  std::vector<double> weight_decays_;   // of each parameter
  std::vector<Group> groups_;           // without parameters and gradients: those of a step are put in
  std::vector<std::size_t> group_of_;   // each parameter
  at::Tensor scales_, learning_rates_;  // of each group
  std::vector<std::pair<std::string, std::vector<at::Tensor>>> states_;
};

struct OptimizerKind {
  static constexpr const char* name = "optimizer";
};

using OptimizerRegistry = Registry<OptimizerKind, std::unique_ptr<Optimizer>(const OptimizerConfig&, NamedTensors)>;

/// The optimizer named by `config.name` over the parameters of `model` that require a gradient. With
/// `config.layer_decay` a stage that comes n before the last one (Model::stages) has layer_decay^n of the learning
/// rate, as in BEiT. Throws UsageError for an unknown name.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, const Model& model);

}  // namespace trainyard
