/// One optimizer step: forward, loss, backward, update.
#pragma once

#include "config/config.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "training/device_loader.h"

namespace trainyard {

/// `model` and `optimizer` are on the device of the batches and must outlive it.
class TrainStep {
 public:
  TrainStep(Model& model, Optimizer& optimizer, const TrainConfig& config);

  struct Result {
    at::Tensor loss;    ///< mean cross-entropy with label smoothing, a scalar on the device, without a graph
    at::Tensor logits;  ///< N × classes, float32, without a graph
  };

  /// Does not wait for the device.
  Result operator()(const DeviceBatch& batch, double learning_rate);

 private:
  Model& model_;
  Optimizer& optimizer_;
  const TrainConfig& config_;
};

}  // namespace trainyard
