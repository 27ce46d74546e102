/// Converts texts to and from the bytes that c10d's store keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainyard {

inline std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
inline std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace trainyard
