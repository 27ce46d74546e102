#include "tasks/metric.h"

#include <limits>

#include <fmt/ranges.h>

#include <ATen/ops/cat.h>

#include "util/error.h"

namespace trainyard {
namespace {

// A task that forgets to sum up returns a value per sample.
void require_scalar(const at::Tensor& tensor, const std::string& what) {
  if (tensor.defined() && tensor.dim() == 0) return;
  throw RunError("task", "{} is {}; return a scalar, e.g. sum()", what,
                 tensor.defined() ? fmt::format("a tensor of [{}]", fmt::join(tensor.sizes(), ", ")) : "undefined");
}

}  // namespace

// If the weight is 0, so is the sum.
at::Tensor Loss::mean() const { return sum / weight.clamp_min(std::numeric_limits<float>::min()); }

std::optional<double> quotient(double numerator, double denominator) {
  return denominator == 0 ? std::nullopt : std::optional(numerator / denominator);
}

Metric ratio(const std::string& name, std::function<std::pair<at::Tensor, at::Tensor>(const MetricInput&)> sums) {
  return {.name = name,
          .size = 2,
          .sums =
              [name, sums = std::move(sums)](const MetricInput& input) {
                const auto [numerator, denominator] = sums(input);
                require_scalar(numerator, fmt::format("the numerator of the metric '{}'", name));
                require_scalar(denominator, fmt::format("the denominator of the metric '{}'", name));
                return at::stack({numerator, denominator}).to(at::kDouble);
              },
          .values = [name](std::span<const double> totals) -> MetricValues {
            return {{name, quotient(totals[0], totals[1])}};
          }};
}

std::pair<at::Tensor, at::Tensor> share_of(const at::Tensor& is_true) {
  const at::TensorOptions options = is_true.options().dtype(at::kDouble);
  return {is_true.sum(at::kDouble), at::full({}, static_cast<double>(is_true.numel()), options)};
}

MetricSet::MetricSet(const std::vector<Metric>& metrics) {
  metrics_.push_back(
      ratio("loss", [](const MetricInput& input) { return std::pair(input.loss.sum, input.loss.weight); }));
  metrics_.insert(metrics_.end(), metrics.begin(), metrics.end());
  for (const Metric& metric : metrics_) {
    if (!metric.sums || !metric.values) {
      throw RunError("task", "the metric '{}' lacks {}: give it both functions, or make it with ratio()", metric.name,
                     metric.sums ? "values" : "sums");
    }
    size_ += metric.size;
  }
  ++size_;  // for the number of samples
}

at::Tensor MetricSet::sums_of(const TensorDict& outputs, const TensorDict& batch, const Loss& loss,
                              std::int64_t samples) const {
  const at::NoGradGuard no_grad;
  require_scalar(loss.sum, "the sum of loss()");
  require_scalar(loss.weight, "the weight of loss()");
  const Loss detached{loss.sum.detach(), loss.weight.detach()};
  std::vector<at::Tensor> sums;
  for (const Metric& metric : metrics_) {
    sums.push_back(metric.sums({outputs, batch, detached}));
    if (sums.back().dim() == 1 && sums.back().size(0) == metric.size) continue;
    throw RunError("task", "the metric '{}' returns sums of [{}]; its size is {}", metric.name,
                   fmt::join(sums.back().sizes(), ", "), metric.size);
  }
  sums.push_back(at::full({1}, static_cast<double>(samples), sums.front().options()));
  return at::cat(sums);
}

std::vector<std::string> MetricSet::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : values(at::zeros({size_}, at::kDouble))) names.push_back(name);
  return names;
}

template <typename Use>
void MetricSet::for_each(const at::Tensor& sums, Use use) const {
  const at::Tensor on_cpu = sums.cpu();
  const std::span<const double> all(on_cpu.const_data_ptr<double>(), static_cast<std::size_t>(size_));
  std::size_t begin = 0;
  for (const Metric& metric : metrics_) {
    const auto size = static_cast<std::size_t>(metric.size);
    use(metric, all.subspan(begin, size));
    begin += size;
  }
}

MetricValues MetricSet::values(const at::Tensor& sums) const {
  MetricValues result;
  for_each(sums, [&](const Metric& metric, std::span<const double> own) {
    for (auto& value : metric.values(own)) result.push_back(std::move(value));
  });
  return result;
}

std::vector<std::string> MetricSet::warnings(const at::Tensor& sums) const {
  std::vector<std::string> result;
  for_each(sums, [&](const Metric& metric, std::span<const double> own) {
    std::string warning = metric.warning ? metric.warning(own) : "";
    if (!warning.empty()) result.push_back(std::move(warning));
  });
  return result;
}

std::int64_t MetricSet::samples(const at::Tensor& sums) const {
  return static_cast<std::int64_t>(sums[size_ - 1].item<double>());
}

NamedTensors MetricSet::by_name(const at::Tensor& sums) const {
  NamedTensors named;
  std::int64_t begin = 0;
  for (const Metric& metric : metrics_) {
    named.emplace_back(metric.name, sums.narrow(0, begin, metric.size));
    begin += metric.size;
  }
  named.emplace_back("samples", sums.narrow(0, begin, 1));
  return named;
}

MetricSums::MetricSums(const MetricSet& metrics, at::Device device)
    : metrics_(&metrics), sums_(at::zeros({metrics.size()}, at::TensorOptions(device).dtype(at::kDouble))) {}

}  // namespace trainyard
