/// Finds the key that an unknown one probably stands for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// Returns the one of the keys `known`, e.g. "loader.batch_size", that `key` probably stands for; nullopt if none is
/// like it. The section may be wrong or missing ("batch_size"), and words may stand in another order.
std::optional<std::string> probable_key(std::string_view key, const std::vector<std::string>& known);

}  // namespace trainyard
