/// Values of metrics by name, in display order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainyard {

/// Names are unique: "loss" first, then the metrics of the task. A metric has no value if there was no sample to
/// compute it from, e.g. an area under the ROC curve if all samples are of one class.
using MetricValues = std::vector<std::pair<std::string, std::optional<double>>>;

/// Returns the value called `name`; nullopt if there is none.
inline std::optional<double> value_of(const MetricValues& values, std::string_view name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  return std::nullopt;
}

/// Writes a value for people: with `decimals` digits after the point, or more if it is too small for them, e.g.
/// "0.8891" or "1.234e-06"; "none" without a value.
std::string metric_text(std::optional<double> value, int decimals = 4);

}  // namespace trainyard
