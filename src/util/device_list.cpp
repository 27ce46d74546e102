#include "util/device_list.h"

#include <algorithm>
#include <charconv>

namespace trainyard {

std::optional<std::vector<int>> device_list(std::string_view text) {
  constexpr std::string_view prefix = "cuda:";
  constexpr int most = 1023;
  if (!text.starts_with(prefix)) return std::nullopt;
  std::vector<int> indices;
  for (std::size_t place = prefix.size(); place <= text.size();) {
    const std::size_t comma = std::min(text.find(',', place), text.size());
    int index = -1;
    const auto [stop, error] = std::from_chars(text.data() + place, text.data() + comma, index);
    const bool is_index = error == std::errc() && stop == text.data() + comma && index >= 0 && index <= most;
    if (!is_index || std::find(indices.begin(), indices.end(), index) != indices.end()) return std::nullopt;
    indices.push_back(index);
    place = comma + 1;
  }
  return indices;
}

}  // namespace trainyard
