/// The interface of a model to the rest of the program: it takes prepared fields, returns named outputs, and has named
/// weights. A new model is one file here that derives from ModelModule (models/model_module.h) and registers itself.
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

/// The inputs and outputs that data and task require of a model.
struct ModelInput {
  std::vector<Field> fields;         ///< the fields that forward() receives, as the dataset declares them
  std::int64_t outputs;              ///< scores to return for each sample, pixel or token
  std::vector<std::int64_t> logits;  ///< the shape of the output "logits" for one sample

  /// Throws UsageError "model", with the available fields, if there is no field of that name.
  const Field& field(std::string_view name) const;
  /// The shape of the field "image". Throws UsageError "model" if there is none, or if it is not an image.
  ImageShape image() const;
};

/// The ModelInput of image classification: one image in, `outputs` scores out.
ModelInput image_input(const ImageShape& image, std::int64_t outputs);

/// Returns a prepared batch of `count` samples of zeros.
TensorDict zero_batch(const ModelInput& input, std::int64_t count, at::Device device);

/// A part of a model that is computed after the previous stages: the parameters whose names begin with one of
/// `prefixes` (begins_with() in models/stages.h).
struct Stage {
  std::string name;
  std::vector<std::string> prefixes;
};

/// What a model makes of a tensor of a weights file that has another shape than its own.
struct Adapted {
  at::Tensor tensor;  ///< of the model's shape; undefined: it does not fit
  std::string note;   ///< for the log what was done, or for the error what to do; empty: nothing to say
};

/// A network. Parameters and buffers have the names of torchvision, timm or Hugging Face if the network exists there,
/// so that weights can be exchanged with Python.
///
/// Only the models' own files use torch::nn, because its headers take longer to compile than everything that is done
/// with a model.
class Model {
 public:
  virtual ~Model() = default;

  /// batch: the prepared fields of N samples, e.g. "image", float, N × channels × height × width (any memory format),
  /// normalized; or "tokens", int64, N × T. Returns the outputs that the task requires, including "logits": scores of
  /// N × outputs (per sample), N × outputs × height × width (per pixel) or N × T × outputs (per token). On a GPU the
  /// call is captured and replayed for later batches (training/step_graph.h): it must neither wait for the GPU nor
  /// branch on values that change from batch to batch, unless train.cuda_graph is false.
  virtual TensorDict forward(const TensorDict& batch) = 0;

  /// The name of the module that computes the scores, which model.reset_head initializes anew.
  virtual std::string head() const { return "fc"; }
  /// Whether model.reset_head initializes the tensor `name` anew.
  virtual bool is_of_head(const std::string& name) const { return name.starts_with(head() + "."); }

  /// The stages in forward order, for model.freeze, model.freeze_stages and optimizer.layer_decay. Each parameter
  /// belongs to exactly one. By default, each module that the model itself registers is a stage of the same name.
  virtual std::vector<Stage> stages() const;

  /// Converts the name of a tensor in a weights file to the model's name, e.g. by removing a prefix; empty: the model
  /// does not use the tensor, and it is ignored. Several tensors of the file may have the same name in the model if
  /// they are equal (tied weights).
  virtual std::string own_name(const std::string& name) const { return name; }
  /// Describes the network to which weights with these names, converted by own_name(), belong, if it is a variant that
  /// the model recognizes but does not implement, e.g. "a ConvNeXt V2". Otherwise empty.
  virtual std::string unsupported_variant(const NamedTensors& tensors) const;
  /// Adapts `given`, a tensor of a weights file, to `wanted`, the model's tensor `name`, whose shape differs: e.g.
  /// resamples position embeddings of images of another size. Only for initial weights, not for checkpoints.
  virtual Adapted adapt(const std::string& name, const at::Tensor& given, const at::Tensor& wanted) const;

  // Like torch.nn.Module's functions of these names. Returned tensors share the model's memory.
  NamedTensors named_parameters() const;
  std::vector<at::Tensor> parameters() const;
  std::vector<at::Tensor> buffers() const;
  bool is_training() const;
  /// A module whose parameters are all frozen (models/freeze.h) stays in evaluation mode: its running statistics do not
  /// change.
  void train(bool on = true);
  void eval() { train(false); }
  void to(at::Device device);
  /// From now on, batch norms use the statistics of all processes (layers/synchronized_batch_norm.h). Throws UsageError
  /// for a batch norm that is not from layers/batch_norm.h.
  void synchronize_batch_norm(const AllReduce& all_reduce);
  /// In Python's order: module by module, parameters before buffers (e.g. running_mean and num_batches_tracked).
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

/// Creates the model named by `config.name`. Throws UsageError for an unknown name.
std::shared_ptr<Model> make_model(const ModelConfig& config, const ModelInput& input);

/// The number of elements of all parameters of `model`, frozen ones included.
std::int64_t parameter_count(const Model& model);

/// Multiply-adds of one sample in the convolutions, linear layers and attention of `model`, counted as in the tables of
/// torchvision and timm. Runs one forward pass. REQUIRES that `model` is on the CPU.
std::int64_t multiply_adds(Model& model, const ModelInput& input);

/// Those of a training step with one sample: the forward pass, the gradients of the weights that are trained, and the
/// gradients of the activations that these need. Runs both passes and drops the gradients. REQUIRES the same.
std::int64_t training_multiply_adds(Model& model, const ModelInput& input);

/// Copies `state` into the model, like PyTorch's load_state_dict(strict=True). If tensors are missing, unexpected, of
/// another shape or type, or contain NaN, throws RunError that describes them (TensorFit::problems()) and names
/// `origin`; the model is then unchanged.
void load_state_dict(Model& model, const NamedTensors& state, const std::string& origin);

/// Like load_state_dict(), for weights from other programs: names are converted (Model::own_name) and may have a prefix
/// that wrappers add, and tensors of other shapes are adapted (Model::adapt). With `reset_head` the tensors of
/// model.head() are not loaded and stay unchanged.
void load_weights(Model& model, const NamedTensors& state, bool reset_head, const std::string& origin);

}  // namespace trainyard
