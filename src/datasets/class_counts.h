/// Reports classes without samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// Returns the classes without a sample, or what else `unit` counts, e.g. "2 of 5 classes have no samples: cat, dog";
/// empty if there are none, or if `counts` is empty because they are unknown.
std::string classes_without_samples(std::span<const std::uint64_t> counts, const std::vector<std::string>& class_names,
                                    std::string_view unit = "samples");

}  // namespace trainyard
