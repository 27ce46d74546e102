/// Counts the samples of each class by reading every sample.
#pragma once

#include <vector>

#include "support/read_field.h"

namespace trainyard {

inline std::vector<std::uint64_t> counted(const Dataset& dataset) {
  std::vector<std::uint64_t> counts(dataset.class_names().size());
  std::vector<std::byte> out(dataset.fields()[0].bytes());
  for (std::size_t i = 0; i < dataset.size(); ++i) ++counts.at(static_cast<std::size_t>(read_field(dataset, i, out)));
  return counts;
}

}  // namespace trainyard
