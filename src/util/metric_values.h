/// Values of metrics by name, in the order in which they are shown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainyard {

/// Names are unique: "loss" first, then those of the task.
using MetricValues = std::vector<std::pair<std::string, double>>;

/// The value of that name; none if there is none.
inline std::optional<double> value_of(const MetricValues& values, std::string_view name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace trainyard
