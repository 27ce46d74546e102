/// Evaluation over a whole split.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "loader_torch/device_loader.h"
#include "models/model.h"
#include "tasks/task.h"
#include "training/step_graph.h"

namespace trainyard {

/// What an evaluation came to.
struct Scores {
  MetricValues values;       ///< "loss" first, then the task's metrics, those that are collected last
  std::int64_t samples = 0;  ///< those whose loss is finite
};

/// The names of the values of an evaluation, in their order.
std::vector<std::string> score_names(const Task& task);

/// Whether an evaluation is better than an earlier one: by the monitored metric, then by its loss, then as the later
/// one. Not a number is worse than any number.
bool is_better(const MetricValues& later, const MetricValues& earlier, const Monitor& monitor);

/// What an evaluation computes of a batch. On a GPU it is captured and replayed (StepGraph), over all evaluations of a
/// training: keep it. `model` and `task` must outlive it.
class EvaluationStep {
 public:
  struct Options {
    bool mirror = false;      ///< outputs are those of forward_mirrored()
    bool cuda_graph = false;  ///< capture it
  };
  EvaluationStep(Model& model, const Task& task, Precision precision, const Options& options);
  EvaluationStep(const EvaluationStep&) = delete;
  EvaluationStep& operator=(const EvaluationStep&) = delete;

  /// `batch` is prepared. Does not wait for the device, but where it captures. The result is valid until the next call.
  /// REQUIRES that the model is in evaluation mode, and no gradients.
  StepResult operator()(const TensorDict& batch) { return graph_(batch, {}); }

  Model& model() { return model_; }
  const Task& task() const { return task_; }
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
  ProcessGroup alone_;  // ranks evaluate each for itself
  StepGraph graph_;
};

/// `step` on every sample of the split of `batches`, each once, or on its first `most_batches` of them; the ranks of
/// `group` share them, and each gets the scores of all. The model is in evaluation mode meanwhile and in its former
/// mode afterwards. `evaluation`, which may be null, sees every batch of this rank. Throws as
/// CollectedMetrics::require_room().
Scores evaluate(EvaluationStep& step, DeviceLoader& batches, ProcessGroup& group,
                std::int64_t most_batches = std::numeric_limits<std::int64_t>::max(), Evaluation* evaluation = nullptr);

}  // namespace trainyard
