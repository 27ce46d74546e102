#include "util/probable_key.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <tuple>

#include "util/nearest.h"

namespace trainyard {
namespace {

std::string_view field_of(std::string_view key) { return key.substr(key.rfind('.') + 1); }

std::string_view section_of(std::string_view key) { return key.substr(0, key.find('.')); }

// The words of a field that say something: "clip", "grad" and "norm" of "clip_grad_norm".
std::set<std::string_view> words_of(std::string_view field) {
  constexpr std::size_t shortest = 3;
  std::set<std::string_view> words;
  while (!field.empty()) {
    const std::size_t end = std::min(field.find_first_of("_-"), field.size());
    if (end >= shortest) words.insert(field.substr(0, end));
    field.remove_prefix(std::min(end + 1, field.size()));
  }
  return words;
}

struct Likeness {
  bool is_typo;
  std::ptrdiff_t shared;  ///< number of words that both fields have
  bool in_section;        ///< both are in the same section
  std::size_t distance;   ///< of the keys or, in another section, of the fields
  std::ptrdiff_t depth;   ///< a setting of every run comes before one of a component
  bool is_probable;
  bool operator<(const Likeness& other) const {
    return std::tuple(is_typo, shared, in_section, other.distance, other.depth) <
           std::tuple(other.is_typo, other.shared, other.in_section, distance, depth);
  }
};

Likeness likeness(std::string_view key, std::string_view known) {
  constexpr std::size_t wrong_section = 3;
  const std::size_t most_typos = std::min<std::size_t>(3, (key.size() + 1) / 2);
  const std::string_view field = field_of(key);
  const std::set<std::string_view> words = words_of(field);
  const std::set<std::string_view> known_words = words_of(field_of(known));
  const auto shared = std::ranges::count_if(words, [&](std::string_view word) { return known_words.contains(word); });
  const std::size_t of_keys = edit_distance(key, known);
  const std::size_t of_fields = edit_distance(field, field_of(known));
  const bool is_typo = of_keys <= most_typos;
  return {.is_typo = is_typo,
          .shared = shared,
          .in_section = section_of(key) == section_of(known),
          .distance = std::min(of_keys, of_fields + wrong_section),
          .depth = std::ranges::count(known, '.'),
          .is_probable = is_typo || shared > 0 || of_fields <= (field.size() + 2) / 3};
}

}  // namespace

std::optional<std::string> probable_key(std::string_view key, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::optional<Likeness> best_likeness;
  for (const std::string& one : known) {
    const Likeness likeness = trainyard::likeness(key, one);
    if (!likeness.is_probable || (best && !(*best_likeness < likeness))) continue;
    best = one;
    best_likeness = likeness;
  }
  return best;
}

}  // namespace trainyard
