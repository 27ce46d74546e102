/// Writes a number of bytes in words.
#pragma once

#include <cstdint>
#include <string>

namespace trainyard {

/// "1.5 GiB", "64.0 MiB", "512 B".
std::string size_text(std::uint64_t bytes);

}  // namespace trainyard
