#include "util/json_text.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace trainyard {
namespace {

// Escapes the control characters that JSON does not: DEL and U+0080 to U+009F. The string's value is unchanged.
std::string escape_controls(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0x7f) {
      out += "\\u007f";
    } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      out += fmt::format("\\u00{:02x}", next);
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

template <typename Json>
std::string text_of(const Json& json, int indent, NotUtf8 not_utf8) {
  const auto handler = not_utf8 == NotUtf8::replaced ? Json::error_handler_t::replace : Json::error_handler_t::strict;
  return escape_controls(json.dump(indent, ' ', /*ensure_ascii=*/false, handler));
}

// The nesting depth of brackets, if `text` is JSON; otherwise any number.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '[' || c == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!in_string && (c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

std::string json_text(const nlohmann::json& json, int indent, NotUtf8 not_utf8) {
  return text_of(json, indent, not_utf8);
}

std::string json_text(const nlohmann::ordered_json& json, int indent, NotUtf8 not_utf8) {
  return text_of(json, indent, not_utf8);
}

nlohmann::json json_from(std::string_view text) {
  if (depth_of(text) > max_json_depth) return nlohmann::json(nlohmann::json::value_t::discarded);
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace trainyard
