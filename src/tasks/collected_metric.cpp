#include "tasks/collected_metric.h"

#include <fmt/ranges.h>

#include <ATen/ops/cat.h>

#include "util/error.h"

namespace trainyard {

CollectedMetrics::CollectedMetrics(std::vector<CollectedMetric> metrics) : metrics_(std::move(metrics)) {
  if (metrics_.empty()) return;
  columns_ = 1;  // whether the loss of its batch is finite
  for (const CollectedMetric& metric : metrics_) {
    if (!metric.rows || !metric.values) {
      throw RunError("task", "the collected metric '{}' lacks {}: give it both functions", metric.name,
                     metric.rows ? "values" : "rows");
    }
    columns_ += metric.columns;
  }
}

void CollectedMetrics::require_memory(std::uint64_t samples) const {
  const std::uint64_t row_bytes = static_cast<std::uint64_t>(columns_) * sizeof(float);
  if (row_bytes == 0 || samples <= max_bytes / row_bytes) return;
  std::vector<std::string> names;
  for (const CollectedMetric& metric : metrics_) names.push_back(metric.name);
  throw UsageError("task.name",
                   "{} needs {} numbers for each of the {} samples of a split, {:.1f} GiB; at most {} GiB are kept: "
                   "evaluate on fewer samples (data.val), or on data with fewer classes",
                   fmt::join(names, ", "), columns_, samples,
                   static_cast<double>(samples) * static_cast<double>(row_bytes) / (1 << 30), max_bytes >> 30);
}

at::Tensor CollectedMetrics::rows_of(const TensorDict& outputs, const TensorDict& batch, const Loss& loss,
                                     std::int64_t samples) const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> parts = {loss.sum.isfinite().to(at::kFloat).expand({samples, 1})};
  for (const CollectedMetric& metric : metrics_) parts.push_back(metric.rows({outputs, batch, loss}));
  return at::cat(parts, 1);
}

std::vector<std::string> CollectedMetrics::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : values(at::zeros({0, columns_}))) names.push_back(name);
  return names;
}

MetricValues CollectedMetrics::values(const at::Tensor& rows) const {
  const at::Tensor on_cpu = rows.cpu();
  MetricValues result;
  if (empty()) return result;
  const at::Tensor finite = on_cpu.index_select(0, on_cpu.select(1, 0).nonzero().flatten());
  const bool all_are = finite.size(0) == on_cpu.size(0);
  std::int64_t begin = 1;
  for (const CollectedMetric& metric : metrics_) {
    for (auto& [name, value] : metric.values(finite.narrow(1, begin, metric.columns))) {
      result.emplace_back(name, all_are ? value : std::nullopt);
    }
    begin += metric.columns;
  }
  return result;
}

}  // namespace trainyard
