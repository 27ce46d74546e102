/// What a model is: images in, one score a class out. A new model is one file here that registers itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "config/config.h"
#include "util/named_tensors.h"
#include "util/registry.h"
#include "util/torch.h"

namespace trainyard {

/// What the data asks of a model.
struct ModelInput {
  std::int64_t channels;  ///< of an image
  std::int64_t height;    ///< pixels
  std::int64_t width;     ///< pixels
  std::int64_t classes;   ///< scores to return
};

/// A network for image classification. Parameters and buffers carry torchvision's names where the net is torchvision's,
/// so that weights travel to and from Python.
class Model : public torch::nn::Module {
 public:
  /// images: float, N × channels × height × width (any memory format), normalised. Returns N × classes scores (logits).
  virtual at::Tensor forward(at::Tensor images) = 0;

  /// Name of the module that gives the scores: what model.reset_head draws anew.
  virtual std::string head() const { return "fc"; }
};

struct ModelKind {
  static constexpr const char* name = "model";
};

/// Factories draw initial weights from torch's default CPU generator and return the model on the CPU, in training mode.
using ModelRegistry = Registry<ModelKind, std::shared_ptr<Model>(const ModelConfig&, const ModelInput&)>;

/// The model named by `config.name`. Throws UsageError for an unknown name.
std::shared_ptr<Model> make_model(const ModelConfig& config, const ModelInput& input);

/// Number of trainable numbers in `model`.
std::int64_t parameter_count(const torch::nn::Module& model);

/// Multiply-adds that `model`, which is on the CPU, takes for one image: of convolutions, linear layers and attention,
/// as torchvision's and timm's tables count them. Computes one forward pass.
std::int64_t multiply_adds(Model& model, const ModelInput& input);

/// The model's state as Python's state_dict() names it: parameters, then buffers (such as running_mean and
/// num_batches_tracked), module by module. The tensors share the model's memory.
NamedTensors state_dict(const torch::nn::Module& model);

/// Copies `state` into the model, as load_state_dict(strict=True): throws RunError that lists every missing, unexpected
/// and misshapen tensor; the model is unchanged then. `origin` is named in the error.
void load_state_dict(torch::nn::Module& model, const NamedTensors& state, const std::string& origin);

/// As load_state_dict; with `reset_head` the tensors of model.head() are left as they are, whatever `state` has there.
void load_weights(Model& model, const NamedTensors& state, bool reset_head, const std::string& origin);

}  // namespace trainyard
