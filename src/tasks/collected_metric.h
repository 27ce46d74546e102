/// Metrics that are no sums, e.g. mean average precision: each is computed from a row per sample of a whole split. They
/// are for evaluation only; while training, metrics are sums (tasks/metric.h).
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

/// A row per sample, and the values that are computed from all rows.
struct CollectedMetric {
  std::string name;          ///< of the rows, in errors
  std::int64_t columns = 1;  ///< numbers of a row
  /// The batch's rows: float32, samples × columns, on the device. Does not wait for the device.
  std::function<at::Tensor(const MetricInput&)> rows;
  /// What is shown of the rows of all samples: float32, on the CPU, samples × columns; there may be none. A function of
  /// the set of rows: their order, which differs if several processes collect them, changes nothing.
  std::function<MetricValues(const at::Tensor&)> values;
};

/// The collected metrics of a task. Immutable; safe to share.
class CollectedMetrics {
 public:
  /// So much memory the rows of a split may take, on the device and once more on the CPU while values are computed.
  static constexpr std::int64_t max_bytes = std::int64_t{1} << 30;

  explicit CollectedMetrics(std::vector<CollectedMetric> metrics);

  bool empty() const { return metrics_.empty(); }
  /// Numbers of a sample's row, with those of all metrics and one that says whether the sample counts.
  std::int64_t columns() const { return columns_; }
  /// Throws UsageError if the rows of so many samples take more than max_bytes.
  void require_room(std::uint64_t samples) const;

  /// The rows of a batch of `samples`: float32, samples × columns(), on the device. Its samples do not count if its
  /// loss is not finite. Does not wait for the device. REQUIRES that there are metrics.
  at::Tensor rows_of(const TensorDict& outputs, const TensorDict& batch, const Loss& loss, std::int64_t samples) const;

  /// The names of the values, in their order.
  std::vector<std::string> names() const;
  /// The values of the rows of all samples, on any device, e.g. gathered from several processes. Waits for it.
  MetricValues values(const at::Tensor& rows) const;

 private:
  std::vector<CollectedMetric> metrics_;
  std::int64_t columns_ = 0;
};

}  // namespace trainyard
