#include "util/json_text.h"

#include <nlohmann/json.hpp>

namespace trainyard {
namespace {

template <typename Json>
std::string text_of(const Json& json, int indent, NotUtf8 not_utf8) {
  const auto handler = not_utf8 == NotUtf8::replaced ? Json::error_handler_t::replace : Json::error_handler_t::strict;
  return json.dump(indent, ' ', /*ensure_ascii=*/false, handler);
}

}  // namespace

std::string json_text(const nlohmann::json& json, int indent, NotUtf8 not_utf8) {
  return text_of(json, indent, not_utf8);
}

std::string json_text(const nlohmann::ordered_json& json, int indent, NotUtf8 not_utf8) {
  return text_of(json, indent, not_utf8);
}

nlohmann::json json_from(std::string_view text) {
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace trainyard
