#include "datasets/left_out.h"

#include <algorithm>

namespace trainyard {

void leave_out(std::vector<LeftOut>& all, std::string_view reason, std::string_view name) {
  auto found = std::find_if(all.begin(), all.end(), [&](const LeftOut& one) { return one.reason == reason; });
  if (found == all.end()) found = all.insert(found, {.reason = std::string(reason), .count = 0, .first = {}});
  ++found->count;
  if (found->first.size() < LeftOut::most_named) found->first.emplace_back(name);
}

}  // namespace trainyard
