#include "util/metric_values.h"

#include <cmath>

#include <fmt/format.h>

namespace trainyard {

std::string metric_text(std::optional<double> value, int decimals) {
  if (!value) return "none";
  const bool is_too_small = *value != 0 && std::abs(*value) < 10 * std::pow(10, -decimals);
  return is_too_small ? fmt::format("{:.{}g}", *value, decimals) : fmt::format("{:.{}f}", *value, decimals);
}

}  // namespace trainyard
