/// Defines what a model is trained for: the required fields, how a batch is prepared, the loss, the metrics, and what
/// eval, predict and the report show. A new task is one file here that registers itself; see docs/extending.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "datasets/field.h"
#include "loader/split.h"
#include "loader_torch/device_loader.h"
#include "models/model.h"
#include "tasks/collected_metric.h"
#include "tasks/metric.h"
#include "util/registry.h"

namespace trainyard {

/// What a task knows about the data it is trained on. Checkpoints keep it, so that predict needs nothing else.
struct TaskData {
  std::vector<Field> fields;             ///< of a sample as the loader delivers it
  std::vector<std::string> class_names;  ///< empty: the data have no classes
  std::vector<float> channel_mean;       ///< of the field "image", in units of 0..1; empty: unknown
  std::vector<float> channel_std;
  std::vector<std::uint64_t> class_counts;  ///< samples of each class in train; empty: unknown
  std::uint64_t samples = 0;                ///< in train
  bool operator==(const TaskData&) const = default;
};

TaskData task_data(const SplitInfo& train);

/// Whether a batch is used for training, with regularization (label smoothing, mixup), or for evaluation.
enum class Phase : std::uint8_t { train, evaluate };

/// Identifies a batch of a run. Random preparation depends on nothing else.
struct BatchKey {
  std::uint64_t seed;
  std::uint64_t epoch;
  std::uint64_t number;  ///< its index in the epoch
};

/// The metric that the best checkpoint and train.patience follow.
struct Monitor {
  std::string metric;  ///< one of the task's, or "loss"
  bool higher_is_better = true;
};

struct Findings;    // tasks/findings.h
struct Prediction;  // tasks/findings.h

/// Collects what eval and the report show for a whole split, from its batches in order. Used from one thread.
class Evaluation {
 public:
  virtual ~Evaluation() = default;

  /// raw: the batch as the loader delivered it. batch: prepared. outputs: as Task::loss() gets them. indices: of the
  /// samples in the split.
  virtual void add(const DeviceBatch& raw, const TensorDict& batch, const TensorDict& outputs,
                   std::span<const std::uint64_t> indices) = 0;

  /// Called after the last batch. `model` is in evaluation mode.
  virtual Findings findings(Model& model) = 0;
};

/// Options of predict. Each task uses some of them (Task::predict_options).
struct PredictOptions {
  int top = 3;               ///< number of classes to list
  int tokens = 256;          ///< number of tokens to generate
  double temperature = 0.8;  ///< 0: always the most probable token
  int top_k = 0;             ///< draw among the most probable top_k tokens; 0: among all
  std::uint64_t seed = 0;
};

/// Immutable once made, for one device; safe to use from one thread at a time.
class Task {
 public:
  virtual ~Task() = default;

  /// The inputs that a model receives and the outputs it must return.
  virtual ModelInput model_input() const = 0;

  /// Returns a batch as model and loss take it, on the batch's device: the fields that `batch` has, images normalized,
  /// in autocast's type if it is on (Normalize). Does not wait for the device. The result may share the memory of
  /// `batch`.
  virtual TensorDict prepare(const DeviceBatch& batch) const = 0;

  /// Augments a prepared batch before it is trained on, e.g. with mixup. Does not wait for the device.
  virtual void augment(TensorDict& /*batch*/, const BatchKey& /*key*/) const {}
  /// What the training loss includes but the loss on val does not, e.g. "label smoothing, mixup"; empty: nothing.
  virtual std::string training_extras() const { return ""; }

  /// outputs: of the model, floating-point ones at least float32 unless takes_half_precision(). batch: prepared. On a
  /// GPU the call is captured and replayed (training/step_graph.h): it must neither wait for the GPU nor branch on a
  /// tensor's values. With gradients enabled it may overwrite outputs that the metrics of training do not use.
  virtual Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase phase) const = 0;
  /// Whether the loss, the metrics and the evaluation take float16 and bfloat16 outputs as the model returns them.
  /// Otherwise these are converted to float32 first, which for a large vocabulary takes longer than the loss.
  virtual bool takes_half_precision() const { return false; }

  /// The metrics in addition to the loss, in the order in which they are shown. They may use this task, which outlives
  /// them.
  virtual std::vector<Metric> metrics(Phase phase) const = 0;
  /// The metrics that are not sums, shown after the others; on val and test only.
  virtual std::vector<CollectedMetric> collected_metrics() const { return {}; }
  virtual Monitor monitor() const = 0;

  /// Converts outputs for mirrored images to outputs for the images themselves; eval --mirror averages the two. None:
  /// the task does not support mirroring.
  virtual std::optional<TensorDict> unmirrored(const TensorDict& /*outputs*/) const { return std::nullopt; }

  /// Collects what eval and the report show, with at most `worst` samples.
  virtual std::unique_ptr<Evaluation> evaluation(std::size_t worst) const = 0;

  /// The options of predict that this task uses: names of PredictOptions' members, and "output" if it writes files.
  virtual std::vector<std::string> predict_options() const { return {}; }
  /// Whether predict takes prompts; otherwise it takes samples.
  virtual bool answers_prompts() const { return false; }
  /// Returns one prediction per sample of a batch, from the outputs of the model. Called unless answers_prompts().
  virtual std::vector<Prediction> predict(const TensorDict& outputs, const PredictOptions& options) const;
  /// Returns the continuation of `prompt` by `model`. Called if answers_prompts().
  virtual Prediction answer(Model& model, const std::string& prompt, const PredictOptions& options) const;
};

struct TaskKind {
  static constexpr const char* name = "task";
};

/// Factories throw UsageError that names the required fields and the data's fields if they do not match.
using TaskRegistry = Registry<TaskKind, std::unique_ptr<Task>(const TaskConfig&, const TaskData&, at::Device)>;

/// Creates the task named by `config.name`.
std::unique_ptr<Task> make_task(const TaskConfig& config, const TaskData& data, at::Device device);

/// The field `name` of `data`, for the task `task`. If there is none, throws UsageError that names both and the data's
/// fields.
const Field& required_field(const TaskData& data, std::string_view task, std::string_view name);
/// The same for the field "image"; also throws if it is not an image.
const Field& required_image(const TaskData& data, std::string_view task);

/// Returns a normalization of the images of `data` on `device`: by their mean and standard deviation, or to -1..1 if
/// these are unknown.
Normalize normalize_of(const TaskData& data, at::Device device);

}  // namespace trainyard
