#include "transforms/arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include <fmt/ranges.h>

#include "util/error.h"
#include "util/nearest.h"

namespace trainyard {
namespace {

// Names have small letters; those of torchvision are read, too, and the error about them lists ours.
constexpr const char* word_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
constexpr const char* value_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";

/// Parses one `name` or `name(key=value, ...)`. Spaces are allowed between the parts.
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text), rest_(text) {}

  TransformArguments parse() {
    const std::string name = word("a transform's name", word_characters);
    std::map<std::string, std::string> arguments;
    if (accept('(') && !accept(')')) {
      do {
        const std::string key = word("an argument's name", word_characters);
        expect('=');
        if (!arguments.emplace(key, word("a value", value_characters)).second) {
          fail(fmt::format("argument '{}' is given twice", key));
        }
      } while (accept(','));
      expect(')');
    }
    if (!rest_.empty()) fail(fmt::format("there is more behind it: '{}'", rest_));
    return {name, std::move(arguments)};
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError("transform", "cannot read '{}': {}; expected name or name(key=value, key=value)", text_, what);
  }

  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

  bool accept(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    skip_blanks();
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is missing before '{}'", c, rest_));
  }

  std::string word(const char* what, const char* characters) {
    skip_blanks();
    const auto end = std::min(rest_.find_first_not_of(characters), rest_.size());
    if (end == 0) fail(fmt::format("{} is missing before '{}'", what, rest_));
    std::string result(rest_.substr(0, end));
    rest_.remove_prefix(end);
    skip_blanks();
    return result;
  }

  std::string text_;
  std::string_view rest_;
};

std::optional<double> parse_number(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

TransformArguments parse_transform(const std::string& text) { return Parser(text).parse(); }

double TransformArguments::number(const std::string& key, double standard, double low, double high) {
  asked_.emplace_back(key, fmt::format("{}", standard));
  const auto found = given_.find(key);
  if (found == given_.end()) return standard;
  const std::optional<double> value = parse_number(found->second);
  if (value && *value >= low && *value <= high) return *value;
  throw UsageError("transform", "{}({}={}) is out of range, expected a number from {} to {}", transform_, key,
                   found->second, low, high);
}

std::int64_t TransformArguments::whole(const std::string& key, std::int64_t standard, std::int64_t low,
                                       std::int64_t high) {
  asked_.emplace_back(key, fmt::format("{}", standard));
  const auto found = given_.find(key);
  if (found == given_.end()) return standard;
  const std::optional<double> value = parse_number(found->second);
  if (value && *value >= static_cast<double>(low) && *value <= static_cast<double>(high) &&
      *value == std::floor(*value)) {
    return static_cast<std::int64_t>(*value);
  }
  throw UsageError("transform", "{}({}={}) is out of range, expected a whole number from {} to {}", transform_, key,
                   found->second, low, high);
}

Range TransformArguments::range(const std::string& name, const Range& standard, const Range& allowed) {
  const double low = number(name + "_min", standard.low, allowed.low, allowed.high);
  const double high = number(name + "_max", standard.high, allowed.low, allowed.high);
  if (low <= high) return {low, high};
  throw UsageError("transform", "{}: {}_min={} is over {}_max={}: give both, the lower one as {}_min", transform_, name,
                   low, name, high, name);
}

std::string TransformArguments::word(const std::string& key, const std::vector<std::string>& allowed) {
  asked_.emplace_back(key, allowed.front());
  const auto found = given_.find(key);
  if (found == given_.end()) return allowed.front();
  if (std::find(allowed.begin(), allowed.end(), found->second) != allowed.end()) return found->second;
  throw UsageError("transform", "{}({}={}) is not known, expected, nearest first: {}", transform_, key, found->second,
                   fmt::join(nearest_first(found->second, allowed), ", "));
}

void TransformArguments::refuse_unknown() const {
  for (const auto& argument : given_) {
    const std::string& key = argument.first;
    const bool known = std::any_of(asked_.begin(), asked_.end(), [&](const auto& asked) { return asked.first == key; });
    if (known) continue;
    std::vector<std::string> all;
    for (const auto& [name, standard] : asked_) all.push_back(fmt::format("{}={}", name, standard));
    throw UsageError("transform", "{} has no argument '{}'; it has: {}", transform_, key,
                     all.empty() ? "none" : fmt::format("{}", fmt::join(all, ", ")));
  }
}

}  // namespace trainyard
