#include "datasets/left_out.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "util/printable.h"

namespace trainyard {

void leave_out(std::vector<LeftOut>& all, std::string_view reason, std::string_view name) {
  auto found = std::find_if(all.begin(), all.end(), [&](const LeftOut& one) { return one.reason == reason; });
  if (found == all.end()) found = all.insert(found, {.reason = std::string(reason), .count = 0, .first = {}});
  ++found->count;
  if (found->first.size() < LeftOut::max_named) found->first.emplace_back(name);
}

std::string list_left_out(std::span<const LeftOut> all) {
  std::string text;
  for (const LeftOut& one : all) {
    if (one.reason == litter_reason || one.reason == unneeded_reason) continue;
    std::vector<std::string> names;
    for (const std::string& name : one.first) names.push_back(printable(name));
    text += fmt::format("{}{}: {} ({}{})", text.empty() ? "" : "; ", printable(one.reason), one.count,
                        fmt::join(names, ", "), one.count > names.size() ? ", ..." : "");
  }
  return text;
}

}  // namespace trainyard
