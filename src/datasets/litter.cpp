#include "datasets/litter.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace trainyard {
namespace {

constexpr std::array<std::string_view, 11> litter_names = {"__macosx",    "thumbs.db",    "ehthumbs.db",
                                                           "desktop.ini", "@eadir",       "#recycle",
                                                           "#snapshot",   "$recycle.bin", "system volume information",
                                                           "lost+found",  "icon\r"};

bool same_ignoring_case(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

}  // namespace

bool is_litter(std::string_view name) {
  return name.starts_with('.') || std::any_of(litter_names.begin(), litter_names.end(), [&](std::string_view litter) {
           return same_ignoring_case(name, litter);
         });
}

bool path_has_litter(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part != "." && part != ".." && is_litter(part)) return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

}  // namespace trainyard
