/// Parses lists of GPUs such as "cuda:0,2".
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace trainyard {

/// Returns the indices in "cuda:N" or "cuda:N,M,...", each from 0 to 1023 and without repeats; nullopt for any other
/// text.
std::optional<std::vector<int>> device_list(std::string_view text);

}  // namespace trainyard
