/// Parses and serializes JSON. nlohmann's parser and serializer are compiled only here, because they take seconds in
/// every file that uses them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace trainyard {

/// How to serialize strings that are not UTF-8.
enum class NotUtf8 : std::uint8_t {
  replaced,  ///< with U+FFFD
  refused,   ///< throws nlohmann::json::exception
};

/// Serializes `json` on one line, or over several lines with `indent` spaces per level if `indent` is not negative. The
/// text contains no terminal control sequences.
std::string json_text(const nlohmann::json& json, int indent = -1, NotUtf8 not_utf8 = NotUtf8::replaced);
/// The same; keys keep their order.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1, NotUtf8 not_utf8 = NotUtf8::replaced);

/// Maximum nesting of arrays and objects in json_from(), because nlohmann copies and serializes them recursively.
inline constexpr std::size_t max_json_depth = 256;

/// Parses `text`. Returns a discarded value (is_discarded()) if it is not JSON or is nested deeper than max_json_depth.
nlohmann::json json_from(std::string_view text);

}  // namespace trainyard
