/// JSON as text. nlohmann's reader and writer are compiled here once: in every file that uses them they take seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace trainyard {

/// What becomes of strings that are not UTF-8.
enum class NotUtf8 : std::uint8_t {
  replaced,  ///< by U+FFFD
  refused,   ///< throws nlohmann::json::exception
};

/// `json` in one line, or, with an indent, in several, with so many spaces a level.
/// Nothing in it steers a terminal.
std::string json_text(const nlohmann::json& json, int indent = -1, NotUtf8 not_utf8 = NotUtf8::replaced);
/// Its keys keep their order.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1, NotUtf8 not_utf8 = NotUtf8::replaced);

/// How deep json_from() lets arrays and objects be nested. nlohmann copies and writes them by recursion.
inline constexpr std::size_t max_json_depth = 256;

/// The value that `text` stands for; a discarded one (is_discarded()) if it is not JSON or nested over max_json_depth.
nlohmann::json json_from(std::string_view text);

}  // namespace trainyard
