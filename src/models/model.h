/// What a model is to the rest of the program: prepared fields in, named outputs out, with weights that have names. A
/// new model is one file here that derives from ModelModule (models/model_module.h) and registers itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "datasets/field.h"
#include "layers/synchronized_batch_norm.h"
#include "util/named_tensors.h"
#include "util/registry.h"
#include "util/tensor_dict.h"
#include "util/torch.h"

namespace torch::nn {
class Module;
}

namespace trainyard {

/// The shape of an image field.
struct ImageShape {
  std::int64_t channels;
  std::int64_t height;  ///< pixels
  std::int64_t width;   ///< pixels
};

/// What data and task ask of a model.
struct ModelInput {
  std::vector<Field> fields;         ///< that forward() gets, as the dataset declares them
  std::int64_t outputs;              ///< scores to return for each sample, pixel or token
  std::vector<std::int64_t> logits;  ///< the shape of the output "logits" for one sample

  /// Throws UsageError "model" with the fields there are if there is no field of that name.
  const Field& field(std::string_view name) const;
  /// Of the field "image". Throws UsageError "model" if there is none, or if it is no image.
  ImageShape image() const;
};

/// One image in, `outputs` scores out: image classification.
ModelInput image_input(const ImageShape& image, std::int64_t outputs);

/// `count` samples of zeros, prepared as forward() gets them.
TensorDict zero_batch(const ModelInput& input, std::int64_t count, at::Device device);

/// A part of a model, computed after the stages before it: the parameters whose names begin with one of `prefixes`
/// (begins_with() in models/stages.h).
struct Stage {
  std::string name;
  std::vector<std::string> prefixes;
};

/// A network. Parameters and buffers carry the names of torchvision, timm or Hugging Face where the network is theirs,
/// so that weights travel to and from Python.
///
/// torch::nn is left to the models' own files: its headers take longer to compile than all that is done with a model.
class Model {
 public:
  virtual ~Model() = default;

  /// batch: the prepared fields of N samples: "image", float, N × channels × height × width (any memory format),
  /// normalized; "tokens", int64, N × T. Returns the outputs that the task asks for, "logits" among them: scores of
  /// N × outputs (a class per sample), N × outputs × height × width (per pixel) or N × T × outputs (per token).
  /// While training on a GPU, what it launches is captured and replayed for the batches after (training/step_graph.h):
  /// it may neither wait for the GPU nor decide anything anew, or train.cuda_graph is to be false.
  virtual TensorDict forward(const TensorDict& batch) = 0;

  /// Name of the module that gives the scores: what model.reset_head draws anew.
  virtual std::string head() const { return "fc"; }
  /// Whether model.reset_head draws the tensor `name` anew.
  virtual bool is_of_head(const std::string& name) const { return name.starts_with(head() + "."); }

  /// The stages in forward order: what model.freeze, model.freeze_stages and optimizer.layer_decay mean by them. Each
  /// parameter is of exactly one. By default a stage for each module that the model itself registers, by its name.
  virtual std::vector<Stage> stages() const;

  /// The model's name for what a file of weights calls `name`, e.g. without a prefix; empty: the model has no use for
  /// it, and it is left out. Names that several tensors share are one tensor, which is tied.
  virtual std::string own_name(const std::string& name) const { return name; }

  // What torch.nn.Module's functions of these names do. Tensors that are returned share the model's memory.
  NamedTensors named_parameters() const;
  std::vector<at::Tensor> parameters() const;
  std::vector<at::Tensor> buffers() const;
  bool is_training() const;
  /// A module whose parameters are all frozen (models/freeze.h) stays in evaluation mode: its batch norm does not move.
  void train(bool on = true);
  void eval() { train(false); }
  void to(at::Device device);
  /// From now on its batch norms use the statistics of all processes (layers/synchronized_batch_norm.h). Throws
  /// UsageError for one that is not layers/batch_norm.h's.
  void synchronize_batch_norm(const AllReduce& all_reduce);
  /// As Python orders it: parameters, then buffers (such as running_mean and num_batches_tracked), module by module.
  NamedTensors state_dict() const;

 private:
  virtual torch::nn::Module& module() = 0;
  const torch::nn::Module& module() const { return const_cast<Model*>(this)->module(); }
};

struct ModelKind {
  static constexpr const char* name = "model";
};

/// Factories draw initial weights from torch's default CPU generator and return the model on the CPU, in training mode.
using ModelRegistry = Registry<ModelKind, std::shared_ptr<Model>(const ModelConfig&, const ModelInput&)>;

/// The model named by `config.name`. Throws UsageError for an unknown name.
std::shared_ptr<Model> make_model(const ModelConfig& config, const ModelInput& input);

/// Number of trainable numbers in `model`.
std::int64_t parameter_count(const Model& model);

/// Multiply-adds that `model`, which is on the CPU, takes for one sample: of convolutions, linear layers and attention,
/// as torchvision's and timm's tables count them. Computes one forward pass.
std::int64_t multiply_adds(Model& model, const ModelInput& input);

/// Copies `state` into the model, as load_state_dict(strict=True): throws RunError that lists every missing, unexpected
/// and misshapen tensor; the model is unchanged then. `origin` is named in the error.
void load_state_dict(Model& model, const NamedTensors& state, const std::string& origin);

/// As load_state_dict, with weights from elsewhere: names may be foreign ones (Model::own_name) and have a prefix that
/// wrappers add. With `reset_head` the tensors of model.head() are left as they are, whatever `state` has there.
void load_weights(Model& model, const NamedTensors& state, bool reset_head, const std::string& origin);

}  // namespace trainyard
