/// Finds the known names closest to a misspelt one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// Levenshtein distance between two strings, in single-byte insertions, deletions and substitutions.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// `known` sorted by edit distance to `name`, nearest first; ties keep their order.
std::vector<std::string> nearest_first(std::string_view name, std::vector<std::string> known);

}  // namespace trainyard
