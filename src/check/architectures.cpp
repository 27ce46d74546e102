#include "check/architectures.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace trainyard {
namespace {

struct Architecture {
  int number = 0;  ///< 10 * major + minor
  bool ptx = false;
  char suffix = 0;  ///< 'a', 'f' or none
};

std::optional<Architecture> parse(std::string_view word) {
  Architecture result;
  if (word.starts_with("compute_")) {
    result.ptx = true;
    word.remove_prefix(8);
  } else if (word.starts_with("sm_")) {
    word.remove_prefix(3);
  } else {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), result.number);
  const std::string_view rest(end, static_cast<std::size_t>(word.data() + word.size() - end));
  if (error != std::errc() || result.number <= 0) return std::nullopt;
  if (!rest.empty() && rest != "a" && rest != "f") return std::nullopt;
  if (!rest.empty()) result.suffix = rest[0];
  return result;
}

}  // namespace

bool serves(const std::vector<std::string>& architectures, int major, int minor) {
  return std::any_of(architectures.begin(), architectures.end(), [&](const std::string& word) {
    const auto compiled = parse(word);
    if (!compiled) return false;
    const std::int64_t number = 10 * std::int64_t{major} + minor;
    if (compiled->suffix == 'a') return compiled->number == number;
    if (compiled->ptx && compiled->suffix == 0) return compiled->number <= number;
    return compiled->number / 10 == major && compiled->number % 10 <= minor;
  });
}

int oldest(const std::vector<std::string>& architectures) {
  int result = 0;
  for (const std::string& word : architectures) {
    if (const auto compiled = parse(word)) result = result == 0 ? compiled->number : std::min(result, compiled->number);
  }
  return result;
}

std::vector<std::string> architectures_in_flags(std::string_view flags) {
  std::vector<std::string> result;
  std::size_t place = 0;
  while ((place = flags.find("code=", place)) != std::string_view::npos) {
    place += 5;
    // One name, or several, e.g. [compute_90,sm_90].
    const bool list = place < flags.size() && flags[place] == '[';
    const std::string_view ends = list ? "]" : " ,;\t\r\n";
    std::string_view names = flags.substr(place, flags.find_first_of(ends, place) - place);
    if (list) names.remove_prefix(1);
    while (!names.empty()) {
      const std::string name(names.substr(0, names.find(',')));
      names.remove_prefix(std::min(names.size(), name.size() + 1));
      if (parse(name) && std::find(result.begin(), result.end(), name) == result.end()) result.push_back(name);
    }
  }
  return result;
}

std::vector<std::string> architectures_of_cmake(std::string_view list) {
  std::vector<std::string> result;
  while (!list.empty()) {
    const std::string_view word = list.substr(0, list.find(' '));
    list.remove_prefix(std::min(list.size(), word.size() + 1));
    const std::string number(word.substr(0, word.find('-')));
    if (!word.ends_with("-virtual")) result.push_back("sm_" + number);
    if (!word.ends_with("-real")) result.push_back("compute_" + number);
  }
  std::erase_if(result, [](const std::string& name) { return !parse(name); });
  return result;
}

std::string readable(const std::vector<std::string>& architectures) {
  std::vector<std::string> words;
  for (const std::string& name : architectures) {
    const auto compiled = parse(name);
    if (!compiled) continue;
    std::string word = fmt::format("{}.{}", compiled->number / 10, compiled->number % 10);
    if (compiled->suffix != 0) word += compiled->suffix;
    // PTX next to machine code for the same GPU is merged into one word.
    if (compiled->ptx && !words.empty() && words.back() == word) words.pop_back();
    words.push_back(compiled->ptx ? word + "+PTX" : word);
  }
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, " "));
}

}  // namespace trainyard
