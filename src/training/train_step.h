/// One optimizer step: forward, loss, backward, update.
#pragma once

#include "config/config.h"
#include "models/model.h"
#include "optim/grad_scaler.h"
#include "optim/optimizer.h"
#include "tasks/task.h"
#include "training/step_graph.h"

namespace trainyard {

/// What a batch is to a step that is made of several (train.accumulate).
struct StepPart {
  bool first = true;
  bool last = true;  ///< the weights change after it
};

/// The gradient of a step is that of the sum of its batches' losses over the sum of their weights (tasks/metric.h).
/// `model`, `optimizer`, `task` and `metrics` are on the device of the batches and must outlive it.
class TrainStep {
 public:
  TrainStep(Model& model, Optimizer& optimizer, const Task& task, const MetricSet& metrics, const TrainConfig& config);
  TrainStep(const TrainStep&) = delete;
  TrainStep& operator=(const TrainStep&) = delete;

  /// Does not wait for the device, but where it captures the step (StepGraph). With train.on_nonfinite = skip, a loss
  /// that is not finite changes nothing: not the weights, not the optimizer's state, not the running statistics. With
  /// fp16, gradients that overflow change only the scaler. The result is valid until the next call.
  /// `batch` is prepared.
  StepResult operator()(const TensorDict& batch, double learning_rate, const StepPart& part = {});

  GradScaler& scaler() { return scaler_; }

 private:
  StepResult run(const TensorDict& batch, const StepPart& part);
  TensorDict recomputing_forward(const TensorDict& batch);
  void backward(const Loss& loss, const StepPart& part);
  void update();

  Model& model_;
  Optimizer& optimizer_;
  const Task& task_;
  const MetricSet& metrics_;
  const TrainConfig& config_;
  GradScaler scaler_;
  bool skips_;                       // train.on_nonfinite
  std::vector<at::Tensor> buffers_;  // the model's, where they may have to be restored
  at::Tensor weight_;                // of the losses of the step so far
  at::Tensor found_inf_;             // one float on the device: 1 makes the step change nothing
  StepGraph whole_step_;
};

}  // namespace trainyard
