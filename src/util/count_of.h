/// Writes a number of things in words: "1 sample", "2 samples".
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace trainyard {

/// Returns e.g. "1 sample", or "0 classes" for "class" and "classes". The plural is `singular` with an s unless given.
std::string count_of(std::integral auto number, std::string_view singular, std::string_view plural = "") {
  if (number == 1) return fmt::format("1 {}", singular);
  return plural.empty() ? fmt::format("{} {}s", number, singular) : fmt::format("{} {}", number, plural);
}

}  // namespace trainyard
