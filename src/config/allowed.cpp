#include "config/allowed.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/device_list.h"

namespace trainyard {

Allowed any_text() {
  return {.words = "text in quotes", .hint = "TEXT", .holds = [](const Value&) { return true; }};
}

Allowed true_or_false() {
  return {.words = "true, false", .hint = "true|false", .holds = [](const Value&) { return true; }};
}

Allowed whole(std::int64_t low, std::int64_t high) {
  return {.words = fmt::format("a whole number from {} to {}", low, high),
          .hint = fmt::format("{}..{}", low, high),
          .holds = [low, high](const Value& value) {
            const std::int64_t given = std::get<std::int64_t>(value.of);
            return given >= low && given <= high;
          }};
}

Allowed number(double low, double high) {
  return {.words = fmt::format("a number from {} to {}", low, high),
          .hint = fmt::format("{}..{}", low, high),
          .holds = [low, high](const Value& value) {
            const auto* whole = std::get_if<std::int64_t>(&value.of);
            const double given = whole ? static_cast<double>(*whole) : std::get<double>(value.of);
            return given >= low && given <= high;
          }};
}

Allowed any_seed() { return whole(0, std::numeric_limits<std::int64_t>::max()); }

Allowed one_of(const std::vector<std::string>& words) {
  return {.words = fmt::format("{}", fmt::join(words, ", ")),
          .hint = fmt::format("{}", fmt::join(words, "|")),
          .holds =
              [words](const Value& value) {
                return std::find(words.begin(), words.end(), std::get<std::string>(value.of)) != words.end();
              },
          .choices = words};
}

Allowed one_of(const std::vector<std::int64_t>& numbers) {
  return {.words = fmt::format("{}", fmt::join(numbers, ", ")),
          .hint = fmt::format("{}", fmt::join(numbers, "|")),
          .holds = [numbers](const Value& value) {
            return std::find(numbers.begin(), numbers.end(), std::get<std::int64_t>(value.of)) != numbers.end();
          }};
}

Allowed list_of(std::size_t items, Allowed each) {
  each.items = items;
  each.hint += ",...";
  return each;
}

Allowed device_name() {
  return {.words = "auto, cpu, cuda, cuda:1, and a list in which each GPU stands once, as cuda:0,2",
          .hint = "auto|cpu|cuda|cuda:N,...",
          .holds = [](const Value& value) {
            const std::string& text = std::get<std::string>(value.of);
            return text == "auto" || text == "cpu" || text == "cuda" || device_list(text);
          }};
}

}  // namespace trainyard
