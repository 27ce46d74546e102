#include "util/json_text.h"

#include <nlohmann/json.hpp>

namespace trainyard {

using nlohmann::json;

std::string json_text(const json& value, int indent, NotUtf8 not_utf8) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false,
                    not_utf8 == NotUtf8::replaced ? json::error_handler_t::replace : json::error_handler_t::strict);
}

json json_from(std::string_view text) { return json::parse(text, nullptr, /*allow_exceptions=*/false); }

}  // namespace trainyard
