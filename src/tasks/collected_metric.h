/// Computes metrics that are not sums, e.g. mean average precision, from one row per sample of a whole split. They are
/// for evaluation only; metrics in training are sums (tasks/metric.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tasks/metric.h"
#include "util/metric_values.h"
#include "util/tensor_dict.h"
#include "util/torch.h"

namespace trainyard {

/// One row per sample, and the values that are computed from all rows.
struct CollectedMetric {
  std::string name;          ///< of the rows, in errors
  std::int64_t columns = 1;  ///< elements per row
  /// The batch's rows: float32, samples × columns, on the device. Does not wait for the device.
  std::function<at::Tensor(const MetricInput&)> rows;
  /// The values to show, from the rows of all samples: float32, on the CPU, samples × columns; may be empty. Must not
  /// depend on the order of the rows, which differs if several processes collect them.
  std::function<MetricValues(const at::Tensor&)> values;
};

/// The collected metrics of a task. Immutable; safe to share.
class CollectedMetrics {
 public:
  /// The maximum size of a split's rows, on the device and, while values are computed, also on the CPU.
  static constexpr std::int64_t max_bytes = std::int64_t{1} << 30;

  explicit CollectedMetrics(std::vector<CollectedMetric> metrics);

  bool empty() const { return metrics_.empty(); }
  /// Elements of a sample's row: those of all metrics and one that says whether the batch's loss was finite.
  std::int64_t columns() const { return columns_; }
  /// Throws UsageError if the rows of `samples` samples take more than max_bytes.
  void require_memory(std::uint64_t samples) const;

  /// The rows of a batch of `samples`: float32, samples × columns(), on the device. Does not wait for the device.
  /// REQUIRES !empty().
  at::Tensor rows_of(const TensorDict& outputs, const TensorDict& batch, const Loss& loss, std::int64_t samples) const;

  /// The names of the values, in the same order.
  std::vector<std::string> names() const;
  /// Computes the values from the rows of all samples, on any device, e.g. gathered from several processes: none if
  /// the loss of a batch was not finite. Waits for the device.
  MetricValues values(const at::Tensor& rows) const;

 private:
  std::vector<CollectedMetric> metrics_;
  std::int64_t columns_ = 0;
};

}  // namespace trainyard
