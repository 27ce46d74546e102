/// Room in a tmpfs that has no name: it is gone with the last process that uses it, however that ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "util/system.h"

namespace trainyard {

/// An unnamed file of `bytes` zeros in `directory` (/dev/shm), all of it reserved: no page can be missing later. None
/// where there is no room for it; throws RunError for everything else.
std::optional<UniqueFd> reserve_shared_file(const std::string& directory, std::size_t bytes);

/// What the file system of `directory` has left. Throws RunError.
std::uint64_t bytes_free(const std::string& directory);

}  // namespace trainyard
