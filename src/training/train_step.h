/// One optimizer step: forward, loss, backward, update.
#pragma once

#include "config/config.h"
#include "models/model.h"
#include "optim/grad_scaler.h"
#include "optim/optimizer.h"
#include "training/device_loader.h"

namespace trainyard {

/// What a batch is to a step that is made of several (train.accumulate).
struct StepPart {
  double weight = 1;  ///< its share of the step's samples
  bool first = true;
  bool last = true;  ///< the weights change after it
};

/// `model` and `optimizer` are on the device of the batches and must outlive it.
class TrainStep {
 public:
  TrainStep(Model& model, Optimizer& optimizer, const TrainConfig& config);

  struct Result {
    at::Tensor loss;    ///< mean cross-entropy with label smoothing, a scalar on the device, without a graph
    at::Tensor logits;  ///< N × classes, float32 (float64 of a float64 model), without a graph
  };

  /// Does not wait for the device. With train.on_nonfinite = skip, a loss that is not finite changes nothing: not the
  /// weights, not the optimizer's state, not the running statistics. With fp16, gradients that overflow change only the
  /// scaler.
  Result operator()(const DeviceBatch& batch, double learning_rate, const StepPart& part = {});

  GradScaler& scaler() { return scaler_; }

 private:
  at::Tensor loss_of(const at::Tensor& logits, const DeviceBatch& batch) const;
  void update(double learning_rate);

  Model& model_;
  Optimizer& optimizer_;
  const TrainConfig& config_;
  GradScaler scaler_;
  bool skips_;                       // train.on_nonfinite
  std::vector<at::Tensor> buffers_;  // the model's, where they may have to be restored
  at::Tensor found_inf_;             // one float on the device: 1 makes the step change nothing
};

}  // namespace trainyard
