#include "check/facts_json.h"

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "check/facts_fields.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::json;

constexpr std::size_t max_bytes = 4u << 20;
constexpr int max_depth = 8;
constexpr std::size_t max_elements = 1024;         // per list: more GPUs, libraries or probes than any machine has
constexpr std::size_t max_characters = 64u << 10;  // per text: the longest that is gathered

struct Writer {
  Json object = Json::object();

  template <typename T>
  void operator()(const char* key, const T& value) {
    object[key] = to_json(value);
  }

  template <typename T>
  static Json to_json(const T& value) {
    if constexpr (requires(Writer& w) { fields(w, value); }) {
      Writer writer;
      fields(writer, value);
      return std::move(writer.object);
    } else {
      return value;
    }
  }
  static Json to_json(const Limit& limit) { return limit ? Json(*limit) : Json(nullptr); }
  static Json to_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
  template <typename T>
  static Json to_json(const std::vector<T>& values) {
    Json array = Json::array();
    for (const T& value : values) array.push_back(to_json(value));
    return array;
  }
};

struct Reader {
  const Json& object;
  std::string place;

  template <typename T>
  void operator()(const char* key, T& value) {
    const auto found = object.find(key);
    if (found == object.end()) throw UsageError("check", "{}: the key \"{}\" is missing", place, key);
    from_json(*found, place + "." + key, value);
  }

  [[noreturn]] static void refuse(const Json& json, const std::string& place, const char* wanted) {
    const std::string shown = json.dump(-1, ' ', true, Json::error_handler_t::replace);
    throw UsageError("check", "{} is {}; it must be {}", place, printable(shown, 40), wanted);
  }

  template <typename T>
  static void from_json(const Json& json, const std::string& place, T& value) {
    if (!json.is_object()) refuse(json, place, "an object");
    Reader reader{json, place};
    fields(reader, value);
  }
  static void from_json(const Json& json, const std::string& place, bool& value) {
    if (!json.is_boolean()) refuse(json, place, "true or false");
    value = json.get<bool>();
  }
  template <std::integral T>
  static void from_json(const Json& json, const std::string& place, T& value) {
    if (json.is_number_unsigned() && std::in_range<T>(json.get<std::uint64_t>())) {
      value = static_cast<T>(json.get<std::uint64_t>());
    } else if (json.is_number_integer() && !json.is_number_unsigned() && std::in_range<T>(json.get<std::int64_t>())) {
      value = static_cast<T>(json.get<std::int64_t>());
    } else {
      refuse(json, place, std::is_signed_v<T> ? "a whole number in range" : "a whole number from 0, in range");
    }
    if constexpr (std::is_signed_v<T>) {
      if (value < -1) refuse(json, place, "a whole number from -1 on");  // -1 is "not known"
    }
  }
  static void from_json(const Json& json, const std::string& place, double& value) {
    if (json.is_null()) {
      value = std::numeric_limits<double>::quiet_NaN();
    } else if (json.is_number()) {
      value = json.get<double>();
    } else {
      refuse(json, place, "a number or null");
    }
  }
  static void from_json(const Json& json, const std::string& place, Limit& value) {
    value.reset();
    if (!json.is_null()) from_json(json, place, value.emplace());
  }
  // Control characters are rejected, because a file from elsewhere could control the terminal with them.
  static void from_json(const Json& json, const std::string& place, std::string& value) {
    if (!json.is_string()) refuse(json, place, "a string");
    value = json.get<std::string>();
    if (value.size() > max_characters) refuse(json, place, "a string of at most 65536 bytes");
    bool after_c2 = false;  // U+0080 to U+009F are two bytes, the first of them 0xc2
    for (const unsigned char c : value) {
      const bool control = c < 0x20 || c == 0x7f || (after_c2 && c < 0xa0);
      if (control) refuse(json, place, "a string without control characters");
      after_c2 = c == 0xc2;
    }
  }
  template <typename T>
  static void from_json(const Json& json, const std::string& place, std::vector<T>& values) {
    if (!json.is_array()) refuse(json, place, "an array");
    if (json.size() > max_elements) refuse(json, place, "an array of at most 1024 elements");
    values.clear();
    for (const Json& element : json) {
      const std::string here = fmt::format("{}[{}]", place, values.size());
      from_json(element, here, values.emplace_back());
    }
  }
  static void from_json(const Json& json, const std::string& place, std::map<std::string, std::string>& values) {
    if (!json.is_object()) refuse(json, place, "an object");
    if (json.size() > max_elements) refuse(json, place, "an object of at most 1024 keys");
    values.clear();
    for (const auto& [key, element] : json.items()) {
      std::string name;
      from_json(Json(key), place, name);
      from_json(element, fmt::format("{}.{}", place, printable(key, 40)), values[key]);
    }
  }
};

// What a user mistook for facts, recognized by its first bytes; empty: unknown.
const char* kind_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return "is empty";
  if ((byte(0) == 0xff && byte(1) == 0xfe) || (byte(0) == 0xfe && byte(1) == 0xff)) {
    return "is UTF-16, as `>` in PowerShell writes it: use `trainyard check --json | Out-File -Encoding utf8 "
           "facts.json`";
  }
  if (text.find('\0') != std::string_view::npos) return "is not text";
  return "";
}

Json parse(std::string_view text, const std::string& name) {
  constexpr const char* wanted = "`trainyard check --json` writes what is read here";
  if (text.size() > max_bytes) {
    throw UsageError("check", "{} has {} bytes, at most {} are read; {}", name, text.size(), max_bytes, wanted);
  }
  if (const std::string_view kind = kind_of(text); !kind.empty()) {
    throw UsageError("check", "{} {}; {}", name, kind, wanted);
  }
  const auto shallow = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > max_depth) throw UsageError("check", "{} is nested deeper than {} levels; {}", name, max_depth, wanted);
    return true;
  };
  try {
    return Json::parse(text, shallow);
  } catch (const Json::exception& error) {
    throw UsageError("check", "{} is no JSON; {} ({})", name, wanted, printable(error.what()));
  }
}

// The keys of an object that does not belong to the facts, for a user who passed the wrong file.
std::string keys_of(const Json& json) {
  std::string keys;
  for (const auto& [key, value] : json.items()) {
    if (keys.size() > 60) return keys + ", ...";
    keys += (keys.empty() ? "" : ", ") + printable(key, 30);
  }
  return keys.empty() ? "none" : keys;
}

void check_schema(const Json& json, const std::string& name) {
  const auto schema = json.find("schema");
  if (schema == json.end()) {
    throw UsageError("check",
                     "{} is JSON of another kind (its keys: {}); `trainyard check --json` writes what is read here",
                     name, keys_of(json));
  }
  int version = 0;
  Reader::from_json(*schema, "facts.schema", version);
  if (version == facts_schema) return;
  throw UsageError("check", "{} is of {} trainyard (schema {}, this one reads {}); {}", name,
                   version > facts_schema ? "a newer" : "an older", version, facts_schema,
                   version > facts_schema ? "read it with that one" : "write it again with this one, on that machine");
}

}  // namespace

Json facts_to_json(const Facts& facts) {
  Json json = Writer::to_json(facts);
  json["schema"] = facts_schema;
  return json;
}

Json needs_to_json(const Needs& needs) { return Writer::to_json(needs); }

Json probe_to_json(const ProbeFacts& probe) { return Writer::to_json(probe); }

Recorded recorded_from_json(std::string_view text, const std::string& name) {
  const Json whole = parse(text, name);
  if (!whole.is_object()) {
    throw UsageError("check", "{} is JSON of another kind ({}); `trainyard check --json` writes what is read here",
                     name, whole.type_name());
  }
  const bool result = whole.contains("facts");
  const Json& json = result ? whole["facts"] : whole;
  if (!json.is_object()) Reader::refuse(json, "facts", "an object");
  check_schema(json, name);
  Recorded recorded;
  Reader::from_json(json, "facts", recorded.facts);
  if (result && whole.contains("needs")) Reader::from_json(whole["needs"], "needs", recorded.needs.emplace());
  return recorded;
}

ProbeFacts probe_from_json(std::string_view text) {
  ProbeFacts probe;
  Reader::from_json(parse(text, "the probe's line"), "probe", probe);
  return probe;
}

}  // namespace trainyard
