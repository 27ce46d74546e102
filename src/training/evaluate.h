/// Evaluates a model on a whole split.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "loader_torch/device_loader.h"
#include "models/model.h"
#include "tasks/task.h"
#include "training/step_graph.h"

namespace trainyard {

/// The result of an evaluation.
struct Scores {
  MetricValues values;                  ///< "loss" first, then the task's metrics, then its collected metrics
  std::int64_t samples = 0;             ///< that were evaluated
  std::int64_t chosen = 0;              ///< to be evaluated: more if some were left out (loader.on_worker_error)
  bool whole = true;                    ///< whether every sample of the split was chosen
  std::vector<std::string> warnings{};  ///< about the split, of the task's metrics; none if only a part was evaluated
};

/// On which samples: "all 17 samples", "the first 64 samples", "17 of 18 samples", "63 of the first 64 samples".
std::string samples_text(const Scores& scores);

/// The names of Scores::values, in the same order.
std::vector<std::string> score_names(const Task& task);

/// Throws RunError "task" if a name of scores is empty, used twice or no column of a CSV file, or if Task::monitor() is
/// none of them.
void require_score_names(const Task& task);

/// Whether the loss of an evaluation is finite, or has no value. If it is not, the metrics may be NaN or mean nothing.
bool is_finite(const MetricValues& values);

/// Whether an evaluation can be the best one: the monitored metric has a value, and the loss is finite.
bool can_be_best(const MetricValues& values, const Monitor& monitor);

/// Whether an evaluation is better than an earlier one: compares the monitored metric, then the loss; if both are
/// equal, the later one is better. One that cannot be the best is worse than any that can.
bool is_better(const MetricValues& later, const MetricValues& earlier, const Monitor& monitor);

/// Whether the loss is over 1 and more than a hundred times that of an earlier evaluation: training has diverged, even
/// if it may recover. A loss that is almost zero varies as much without that. False without an earlier one.
bool has_diverged(const MetricValues& later, const MetricValues& earlier);

/// Computes outputs and metrics of one batch. On a GPU it is captured and replayed (StepGraph): reuse one object for
/// all evaluations of a run. `model` and `task` must outlive it.
class EvaluationStep {
 public:
  struct Options {
    bool mirror = false;      ///< outputs are those of forward_mirrored()
    bool cuda_graph = false;  ///< capture the step
    bool warns = true;        ///< log why it is not captured; set for one of several ranks, which find the same
  };
  EvaluationStep(Model& model, const Task& task, Precision precision, const Options& options);
  EvaluationStep(const EvaluationStep&) = delete;
  EvaluationStep& operator=(const EvaluationStep&) = delete;

  /// Prepares a batch, which has samples, for the next call.
  TensorDict prepare(const DeviceBatch& raw) const;

  /// `batch` is prepared. Does not wait for the device, except to capture. The result is valid until the next call.
  /// REQUIRES that the model is in evaluation mode and that gradients are disabled.
  StepResult operator()(const TensorDict& batch) { return graph_(batch, {}); }

  Model& model() { return model_; }
  const MetricSet& metrics() const { return metrics_; }
  const CollectedMetrics& collected() const { return collected_; }

 private:
  StepResult run(const TensorDict& batch) const;

  Model& model_;
  const Task& task_;
  Precision precision_;
  bool mirror_;
  MetricSet metrics_;
  CollectedMetrics collected_;
  ProcessGroup alone_;  // each rank evaluates on its own
  StepGraph graph_;
};

struct EvaluateOptions {
  Evaluation* evaluation = nullptr;  ///< receives every batch of this rank; may be null
  /// Called after each batch: whether to stop there. Returns the same on all ranks. None: never stop.
  std::function<bool()> stop{};
};

/// Runs `step` on every sample of the split of `batches` once. The ranks of `group` share the batches, and each returns
/// the scores over all of them, or nothing if it was stopped. Puts the model in evaluation mode and then restores its
/// previous mode. Throws what CollectedMetrics::require_memory() throws.
std::optional<Scores> evaluate(EvaluationStep& step, DeviceLoader& batches, ProcessGroup& group,
                               const EvaluateOptions& options = {});

}  // namespace trainyard
