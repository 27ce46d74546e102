/// Converts texts to and from the bytes that c10d's store keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainyard {

inline std::vector<std::uint8_t> to_store(const std::string& text) { return {text.begin(), text.end()}; }
inline std::string from_store(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace trainyard
