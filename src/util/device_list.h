/// The GPUs that a text such as "cuda:0,2" lists.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace trainyard {

/// The indices in "cuda:N" or "cuda:N,M,...", each from 0 to 1023 and none twice; nullopt for another text.
std::optional<std::vector<int>> device_list(std::string_view text);

}  // namespace trainyard
