/// An exponential moving average of a model's weights, which often does better on the test set than the weights.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/model.h"
#include "util/torch.h"

namespace trainyard {

/// Averages parameters and buffers of `source` into `average`, a second model of the same kind on the same device,
/// as timm's ModelEmaV2; whole numbers (num_batches_tracked) are copied. Nothing here waits for the device.
class Ema {
 public:
  /// `average` takes over the weights of `source`; both must outlive it.
  Ema(const Model& source, Model& average, double decay);

  /// After step number `step`, from 1: average ← d × average + (1 - d) × weights with d = min(decay, (1 + step) /
  /// (10 + step)), so that the first steps count for less and less (as tf.train.ExponentialMovingAverage).
  void update(std::int64_t step);

 private:
  double decay_;
  std::vector<at::Tensor> sources_;  // floating point
  std::vector<at::Tensor> averages_;
  std::vector<at::Tensor> counts_;  // whole numbers
  std::vector<at::Tensor> count_copies_;
};

}  // namespace trainyard
