#include "datasets/pax.h"

#include <charconv>

namespace trainyard {
namespace {

bool read_number(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value < std::uint64_t{1} << 63;
}

bool set_text(std::optional<std::string>& field, std::string_view value) {
  if (value.empty()) {
    field.reset();
  } else {
    field = value;
  }
  return value.find('\0') == std::string_view::npos;
}

bool set_field(PaxFields& fields, std::string_view key, std::string_view value) {
  if (key == "path") return set_text(fields.path, value);
  if (key == "linkpath") return set_text(fields.link, value);
  if (key == "size") {
    fields.size.reset();
    return value.empty() || read_number(value, fields.size.emplace());
  }
  fields.sparse |= key.starts_with("GNU.sparse.");
  return true;
}

}  // namespace

bool PaxFields::read(std::string_view records) {
  while (!records.empty()) {
    const std::size_t space = records.find(' ');
    std::uint64_t length = 0;
    if (space == std::string_view::npos || !read_number(records.substr(0, space), length)) return false;
    if (length < space + 2 || length > records.size() || records[length - 1] != '\n') return false;
    const std::string_view record = records.substr(space + 1, length - space - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    if (!set_field(*this, record.substr(0, equals), record.substr(equals + 1))) return false;
    records.remove_prefix(length);
  }
  return true;
}

}  // namespace trainyard
