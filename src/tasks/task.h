/// What a model is trained for: the fields it needs, how a batch is prepared, the loss, the metrics, and what eval,
/// predict and the report show. A new task is one file here that registers itself; docs/extending.md shows how.
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

/// What a task knows of the data it is trained on. A checkpoint keeps it, so that predict needs nothing else.
struct TaskData {
  std::vector<Field> fields;             ///< of a sample as the loader delivers it
  std::vector<std::string> class_names;  ///< empty: the data have no classes
  std::vector<float> channel_mean;       ///< of the field "image", in units of 0..1; empty: not known
  std::vector<float> channel_std;
  std::vector<std::uint64_t> class_counts;  ///< samples of each class in train; empty: not known
  std::uint64_t samples = 0;                ///< of train
  bool operator==(const TaskData&) const = default;
};

TaskData task_data(const SplitInfo& train);

/// Whether a batch is trained on, with all that makes training harder (label smoothing, mixup), or judged by.
enum class Phase : std::uint8_t { train, evaluate };

/// Which batch of a run this is: what random preparation depends on, and on nothing else.
struct BatchKey {
  std::uint64_t seed;
  std::uint64_t epoch;
  std::uint64_t number;  ///< its place in the epoch
};

/// The metric that the best checkpoint and train.patience follow.
struct Monitor {
  std::string metric;  ///< one of the task's, or "loss"
  bool higher_is_better = true;
};

struct Findings;    // tasks/findings.h
struct Prediction;  // tasks/findings.h

/// Collects what eval and the report show of a whole split, batch by batch in its order. Used from one thread.
class Evaluation {
 public:
  virtual ~Evaluation() = default;

  /// raw: as the loader delivered it. outputs: of the model, floating-point ones as float32. indices: the samples'
  /// numbers in the split.
  virtual void add(const DeviceBatch& raw, const TensorDict& batch, const TensorDict& outputs,
                   std::span<const std::uint64_t> indices) = 0;

  /// After the last batch. `model` is in evaluation mode.
  virtual Findings findings(Model& model) = 0;
};

/// How predict answers. A task takes some of them (Task::predict_options).
struct PredictOptions {
  int top = 3;               ///< classes to list
  int tokens = 256;          ///< to write
  double temperature = 0.8;  ///< 0: always the likeliest token
  int top_k = 0;             ///< choose among so many tokens; 0: among all
  std::uint64_t seed = 0;
};

/// Immutable once made, for one device; safe to use from one thread at a time.
class Task {
 public:
  virtual ~Task() = default;

  /// What a model gets and is to return.
  virtual ModelInput model_input() const = 0;

  /// A batch as model and loss take it, on the batch's device: those fields that are there, normalized. Does not wait
  /// for the device. The result may share the memory of `batch`.
  virtual TensorDict prepare(const DeviceBatch& batch) const = 0;

  /// Mixes and changes a prepared batch before it is trained on. Does not wait for the device.
  virtual void augment(TensorDict& /*batch*/, const BatchKey& /*key*/) const {}
  /// What the training loss includes and the loss on val does not: "label smoothing, mixup"; empty: nothing.
  virtual std::string training_extras() const { return ""; }

  /// outputs: of the model, floating-point ones at least float32. batch: prepared. On a GPU it is captured and replayed
  /// (training/step_graph.h): it may neither wait for the GPU nor decide anything by a tensor's values.
  virtual Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase phase) const = 0;

  /// Beside the loss, in the order in which they are shown. They may use this task, which outlives them.
  virtual std::vector<Metric> metrics(Phase phase) const = 0;
  /// Those that are no sums, shown after the others: of val and of test only.
  virtual std::vector<CollectedMetric> collected_metrics() const { return {}; }
  virtual Monitor monitor() const = 0;

  /// What the model returned for mirrored pictures, as it is for the pictures themselves: eval --mirror averages the
  /// two. None: a mirrored picture is of no use to this task.
  virtual std::optional<TensorDict> unmirrored(const TensorDict& /*outputs*/) const { return std::nullopt; }

  /// What eval and the report show, with at most `worst` samples.
  virtual std::unique_ptr<Evaluation> evaluation(std::size_t worst) const = 0;

  /// The options of predict that change its answers: names of PredictOptions' members, or "output" if it writes files.
  virtual std::vector<std::string> predict_options() const { return {}; }
  /// Whether predict takes prompts; otherwise it takes samples.
  virtual bool answers_prompts() const { return false; }
  /// One for each picture of a batch, from the outputs of the model. Called unless answers_prompts().
  virtual std::vector<Prediction> predict(const TensorDict& outputs, const PredictOptions& options) const;
  /// What `model` writes after `prompt`. Called if answers_prompts().
  virtual Prediction answer(Model& model, const std::string& prompt, const PredictOptions& options) const;
};

struct TaskKind {
  static constexpr const char* name = "task";
};

/// Factories throw UsageError that names the fields they need and those that the data have, if they do not fit.
using TaskRegistry = Registry<TaskKind, std::unique_ptr<Task>(const TaskConfig&, const TaskData&, at::Device)>;

/// The task named by `config.name`.
std::unique_ptr<Task> make_task(const TaskConfig& config, const TaskData& data, at::Device device);

/// The field `name` of `data`, for the task `task`. Throws UsageError that names both and what there is.
const Field& required_field(const TaskData& data, std::string_view task, std::string_view name);
/// The same, of an image.
const Field& required_image(const TaskData& data, std::string_view task);

/// Normalizes images of `data` on `device`: by their mean and deviation, or to -1..1 if these are not known.
Normalize normalize_of(const TaskData& data, at::Device device);

}  // namespace trainyard
