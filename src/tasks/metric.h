/// Computes metrics over an epoch or a split from sums that stay on the device, so that no step waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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
  at::Tensor sum;     ///< a scalar on the device; in training, with its autograd graph
  at::Tensor weight;  ///< a scalar on the device, not negative: samples, pixels or tokens, or their class weights

  /// sum / weight; 0 if the weight is 0.
  at::Tensor mean() const;
};

/// The input of a metric.
struct MetricInput {
  const TensorDict& outputs;  ///< of the model, as Task::loss() gets them
  const TensorDict& batch;    ///< prepared
  const Loss& loss;
};

/// Sums over all samples, and the values computed from them when they are read: never a mean of the batches' values.
struct Metric {
  std::string name;       ///< of the sums, in a checkpoint
  std::int64_t size = 1;  ///< number of sums
  /// The batch's sums: float64, `size`, on the device. Does not wait for the device.
  std::function<at::Tensor(const MetricInput&)> sums;
  /// Computes the values to show from the sums.
  std::function<MetricValues(std::span<const double>)> values;
  /// Says what is wrong with the data, from the sums over a whole split; empty: nothing.
  std::function<std::string(std::span<const double>)> warning = nullptr;
};

/// A metric that is one ratio. `sums` returns numerator and denominator as two scalars; it has no value if the
/// denominator is 0.
Metric ratio(const std::string& name, std::function<std::pair<at::Tensor, at::Tensor>(const MetricInput&)> sums);

/// numerator / denominator; nullopt if the denominator is 0.
std::optional<double> quotient(double numerator, double denominator);

/// For ratio(): the number of true elements of `is_true`, and the number of elements.
std::pair<at::Tensor, at::Tensor> share_of(const at::Tensor& is_true);

/// The metrics of a run: the loss, the number of samples, and those of its task. Immutable; safe to share.
class MetricSet {
 public:
  explicit MetricSet(const std::vector<Metric>& metrics);

  /// All sums of a batch of `samples`, in one float64 vector on the device. Does not wait for the device.
  at::Tensor sums_of(const TensorDict& outputs, const TensorDict& batch, const Loss& loss, std::int64_t samples) const;

  /// The number of sums.
  std::int64_t size() const { return size_; }
  /// The names of the values, in the same order.
  std::vector<std::string> names() const;
  /// Computes the values from a vector of sums_of(), or from a sum of such vectors. Waits for the device.
  MetricValues values(const at::Tensor& sums) const;
  /// The warnings of the metrics about a vector that sums a whole split. Waits for the device.
  std::vector<std::string> warnings(const at::Tensor& sums) const;
  /// The number of samples in such a vector. Waits for the device.
  std::int64_t samples(const at::Tensor& sums) const;
  /// The parts of such a vector under the metrics' names; they share its memory.
  NamedTensors by_name(const at::Tensor& sums) const;

 private:
  // Calls use(metric, its sums) for each metric.
  template <typename Use>
  void for_each(const at::Tensor& sums, Use use) const;

  std::vector<Metric> metrics_;
  std::int64_t size_ = 0;
};

/// Accumulates the sums of several batches on the device. Used from one thread.
class MetricSums {
 public:
  /// `metrics` must outlive it.
  MetricSums(const MetricSet& metrics, at::Device device);

  /// Adds a result of MetricSet::sums_of(). Does not wait for the device.
  void add(const at::Tensor& sums) { sums_.add_(sums); }
  void reset() { sums_.zero_(); }
  /// All sums; callers may modify them.
  const at::Tensor& tensor() const { return sums_; }

  // These wait for the device.
  MetricValues values() const { return metrics_->values(sums_); }
  std::int64_t samples() const { return metrics_->samples(sums_); }
  std::vector<std::string> warnings() const { return metrics_->warnings(sums_); }
  /// For a checkpoint; a resume copies into these tensors.
  NamedTensors state() const { return metrics_->by_name(sums_); }

 private:
  const MetricSet* metrics_;
  at::Tensor sums_;
};

}  // namespace trainyard
