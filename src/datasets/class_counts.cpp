#include "datasets/class_counts.h"

#include <fmt/ranges.h>

#include "util/count_of.h"
#include "util/printable.h"

namespace trainyard {

std::string classes_without_samples(std::span<const std::uint64_t> counts, const std::vector<std::string>& class_names,
                                    std::string_view unit) {
  constexpr std::size_t max_named = 10;
  std::vector<std::string> named;
  std::size_t empty = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) continue;
    if (++empty <= max_named) named.push_back(printable(class_names[i]));
  }
  if (empty == 0) return "";
  return fmt::format("{} of {} {} no {}: {}{}", empty, count_of(counts.size(), "class", "classes"),
                     empty == 1 ? "has" : "have", unit, fmt::join(named, ", "), empty > max_named ? ", ..." : "");
}

}  // namespace trainyard
