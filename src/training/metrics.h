/// Sums over the batches of an epoch, kept on the device so that a step does not wait for them.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "util/torch.h"

namespace trainyard {

/// Mean loss and accuracy over a number of samples.
struct Scores {
  double loss = 0;      ///< mean over the samples
  double accuracy = 0;  ///< 0 to 1
  std::int64_t samples = 0;
};

/// Whether an evaluation is better than an earlier one: by its accuracy, then by its loss, then as the later one.
bool is_better(const Scores& later, const Scores& earlier);

/// A batch's sum of losses, right answers and samples: 3 × float64, zeros where the loss is not finite. loss: the
/// batch's mean, a scalar. logits: N × classes; labels: N.
at::Tensor sums_of(const at::Tensor& loss, const at::Tensor& logits, const at::Tensor& labels);

/// Sums of loss and of right answers, over batches whose loss is finite. Reading them waits for the device.
class ScoreSums {
 public:
  explicit ScoreSums(at::Device device);

  /// sums: a batch's, as sums_of() gives them.
  void add(const at::Tensor& sums);

  Scores mean() const;

  /// The sums by their names, for a checkpoint: "loss", "accuracy" (right answers) and "samples".
  std::map<std::string, double> by_name() const;
  /// Takes what by_name() gave.
  void restore(const std::map<std::string, double>& sums);

 private:
  at::Tensor sums_;  // as sums_of()
};

}  // namespace trainyard
