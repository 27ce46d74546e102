/// Metrics as sums: what a task measures over an epoch or a split without a wait for the device in any step.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "util/metric_values.h"
#include "util/named_tensors.h"
#include "util/tensor_dict.h"
#include "util/torch.h"

namespace trainyard {

/// The loss of a batch as a sum and the weight to divide it by, so that batches of different sizes, ignored pixels and
/// class weights add up exactly.
struct Loss {
  at::Tensor sum;     ///< a scalar on the device, with a graph while training
  at::Tensor weight;  ///< a scalar on the device, not negative: samples, pixels or tokens, or their class weights

  /// sum / weight; 0 if the weight is 0.
  at::Tensor mean() const;
};

/// What a metric is computed from.
struct MetricInput {
  const TensorDict& outputs;  ///< of the model, floating-point ones as float32
  const TensorDict& batch;    ///< prepared
  const Loss& loss;
};

/// A number of sums over all samples, and the values that are computed from them when they are read: never a mean of
/// the batches' values.
struct Metric {
  std::string name;       ///< of the sums, in a checkpoint
  std::int64_t size = 1;  ///< number of sums
  /// The batch's sums: float64, `size`, on the device. Does not wait for the device.
  std::function<at::Tensor(const MetricInput&)> sums;
  /// What is shown of them.
  std::function<MetricValues(std::span<const double>)> values;
};

/// A metric that is one ratio. `sums` returns numerator and denominator as two scalars; the value is 0 if the
/// denominator is.
Metric ratio(const std::string& name, std::function<std::pair<at::Tensor, at::Tensor>(const MetricInput&)> sums);

/// For ratio(): how many elements of `is_true` are, and how many there are.
std::pair<at::Tensor, at::Tensor> share_of(const at::Tensor& is_true);

/// The metrics of a run: the loss, the number of samples, and those of its task. Immutable; safe to share.
class MetricSet {
 public:
  explicit MetricSet(const std::vector<Metric>& metrics);

  /// All sums of a batch of `samples`, in one float64 vector on the device; zeros if its loss is not finite. Does not
  /// wait for the device.
  at::Tensor sums_of(const TensorDict& outputs, const TensorDict& batch, const Loss& loss, std::int64_t samples) const;

  /// Number of sums in all.
  std::int64_t size() const { return size_; }
  /// The names of the values, in their order.
  std::vector<std::string> names() const;
  /// The values of such a vector. Waits for its device.
  MetricValues values(const at::Tensor& sums) const;
  /// Number of samples that it was computed from. Waits for its device.
  std::int64_t samples(const at::Tensor& sums) const;
  /// Parts of such a vector under the metrics' names; they share its memory.
  NamedTensors by_name(const at::Tensor& sums) const;

 private:
  std::vector<Metric> metrics_;
  std::int64_t size_ = 0;
};

/// The sums of several batches, on the device. Used from one thread.
class MetricSums {
 public:
  /// `metrics` must outlive it.
  MetricSums(const MetricSet& metrics, at::Device device);

  /// Adds what MetricSet::sums_of() returned. Does not wait for the device.
  void add(const at::Tensor& sums) { sums_.add_(sums); }
  void reset() { sums_.zero_(); }
  /// All sums, which may be changed.
  const at::Tensor& tensor() const { return sums_; }

  // These wait for the device.
  MetricValues values() const { return metrics_->values(sums_); }
  std::int64_t samples() const { return metrics_->samples(sums_); }
  /// For a checkpoint; a resume copies into these tensors.
  NamedTensors state() const { return metrics_->by_name(sums_); }

 private:
  const MetricSet* metrics_;
  at::Tensor sums_;
};

}  // namespace trainyard
