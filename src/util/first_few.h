/// Lists the first of many things for people.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>

#include <fmt/ranges.h>

namespace trainyard {

/// Returns e.g. "a, b, c" or, if there are more than `most`, "a, b, and 7 more".
template <typename Range>
std::string first_few(const Range& all, std::size_t most) {
  const std::size_t count = std::min(std::size(all), most);
  const auto first = std::begin(all);
  std::string text = fmt::format("{}", fmt::join(first, std::next(first, static_cast<std::ptrdiff_t>(count)), ", "));
  if (count < std::size(all)) text += fmt::format(", and {} more", std::size(all) - count);
  return text;
}

}  // namespace trainyard
