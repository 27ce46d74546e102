#include "datasets/collate.h"

#include <algorithm>
#include <numeric>

namespace trainyard {

void pad(std::span<const std::int64_t> rows, std::span<std::int64_t> begins) {
  const std::int64_t longest = rows.empty() ? 0 : *std::max_element(rows.begin(), rows.end());
  for (std::size_t i = 0; i < begins.size(); ++i) begins[i] = static_cast<std::int64_t>(i) * longest;
}

void concatenate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins) {
  begins[0] = 0;
  std::partial_sum(rows.begin(), rows.end(), begins.begin() + 1);
}

}  // namespace trainyard
