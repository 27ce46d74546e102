/// Keeps an exponential moving average of a model's weights, which often generalizes better than the weights
/// themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/model.h"
#include "util/torch.h"

namespace trainyard {

/// Averages parameters and buffers of `source` into `average`, a second model of the same kind on the same device, like
/// timm's ModelEmaV2; integers (num_batches_tracked) are copied. No function waits for the device.
class Ema {
 public:
  /// Copies the weights of `source` to `average`; both must outlive it.
  Ema(const Model& source, Model& average, double decay);

  /// Call it after step number `step`, from 1. Computes average ← d × average + (1 - d) × weights with
  /// d = min(decay, (1 + step) / (10 + step)), so that the initial weights are forgotten quickly (like
  /// tf.train.ExponentialMovingAverage).
  void update(std::int64_t step);

 private:
  double decay_;
  std::vector<at::Tensor> sources_;  // floating point
  std::vector<at::Tensor> averages_;
  std::vector<at::Tensor> counts_;  // integers
  std::vector<at::Tensor> count_copies_;
};

}  // namespace trainyard
