/// Values of metrics by name, in display order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainyard {

/// Names are unique: "loss" first, then the metrics of the task.
using MetricValues = std::vector<std::pair<std::string, double>>;

/// Returns the value called `name`; nullopt if there is none.
inline std::optional<double> value_of(const MetricValues& values, std::string_view name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace trainyard
