#include "check/visible_devices.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "util/text_lines.h"

namespace trainyard::rules {
namespace {

bool is_identifier(std::string_view entry) { return entry.starts_with("GPU-") || entry.starts_with("MIG-"); }

}  // namespace

std::vector<std::string> visible_entries(std::string_view value) {
  std::vector<std::string> entries;
  for (std::size_t place = 0; place <= value.size();) {
    const std::size_t comma = std::min(value.find(',', place), value.size());
    entries.emplace_back(trimmed(value.substr(place, comma - place)));
    if (entries.back().empty()) break;
    place = comma + 1;
  }
  return entries;
}

int entry_index(std::string_view entry) {
  if (entry.starts_with('+')) entry.remove_prefix(1);
  int index = -1;
  std::from_chars(entry.data(), entry.data() + entry.size(), index);
  return index;
}

std::string entry_fault(const std::vector<std::string>& entries, std::size_t place) {
  const std::string& entry = entries[place];
  if (entry.empty()) return "an empty entry ends the list";
  if (place > 0 && is_identifier(entry) != is_identifier(entries[0])) {
    return "indices and identifiers cannot stand in one list";
  }
  if (!is_identifier(entry) && entry_index(entry) < 0)
    return fmt::format("{} is neither an index nor an identifier", entry);
  return "";
}

}  // namespace trainyard::rules
