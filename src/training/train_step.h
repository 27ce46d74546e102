/// Runs one optimizer step: forward, loss, backward, update; with several ranks, on the sums over all of them.
#pragma once

#include <memory>

#include "config/config.h"
#include "distributed/buffer_average.h"
#include "distributed/gradient_buckets.h"
#include "distributed/process_group.h"
#include "distributed/side_stream.h"
#include "models/model.h"
#include "optim/grad_scaler.h"
#include "optim/optimizer.h"
#include "tasks/task.h"
#include "training/step_graph.h"
#include "training/sum_times.h"

namespace trainyard {

/// A step's gradient is the gradient of the sum of its batches' losses divided by the sum of their weights
/// (tasks/metric.h), both over all ranks. `model`, `optimizer`, `task`, `metrics` and `group` must outlive it; all but
/// `group` are on the device of the batches.
class TrainStep {
 public:
  TrainStep(Model& model, Optimizer& optimizer, const Task& task, const MetricSet& metrics, const TrainConfig& config,
            ProcessGroup& group);
  TrainStep(const TrainStep&) = delete;
  TrainStep& operator=(const TrainStep&) = delete;

  /// `batch` is prepared: this rank's share, empty if it has no samples. All ranks call it, with the same `part`. The
  /// result is that of the whole batch, and valid until the next call. Does not wait for the device, except to capture
  /// the step (StepGraph). With train.on_nonfinite = skip, a loss that is not finite changes nothing: not the weights,
  /// not the optimizer's state, not the running statistics. With fp16, gradients that overflow change only the scaler.
  /// On a GPU, cuDNN's algorithms are measured for the convolutions of the largest batches (BenchmarkConvolutions).
  StepResult operator()(const TensorDict& batch, double learning_rate, const StepPart& part = {});

  /// Measures the sums over the ranks, in the time of a few steps' sums. Called by all ranks, before the first step.
  SumTimes time_sums();

  /// See StepGraph.
  void launch_without_graph(const char* reason) { graph_.launch_without_graph(reason); }

  GradScaler& scaler() { return scaler_; }

 private:
  void make_buckets();
  StepResult run(const TensorDict& batch, const StepPart& part);
  TensorDict recomputing_forward(const TensorDict& batch);
  void warn_of_untrained_parameters() const;
  void add_up_ranks(Loss& loss, at::Tensor& sums);
  void backward(const at::Tensor& sum, const at::Tensor& weight, const StepPart& part);
  void update();

  Model& model_;
  Optimizer& optimizer_;
  const Task& task_;
  const MetricSet& metrics_;
  const TrainConfig& config_;
  ProcessGroup& group_;
  GradScaler scaler_;
  bool skips_;                       // train.on_nonfinite
  std::vector<at::Tensor> buffers_;  // the model's, if they may have to be restored
  at::Tensor found_inf_;             // one float on the device: 1 makes the step change nothing
  SideStream side_;
  std::unique_ptr<GradientBuckets> buckets_;  // null: every step so far had one batch on one rank
  BufferAverage buffer_average_;
  at::Tensor weight_;  // of the step's losses so far, over all ranks
  StepGraph graph_;
  std::int64_t most_samples_ = 0;  // of a batch, over all ranks
  bool warned_of_untrained_ = false;
};

}  // namespace trainyard
