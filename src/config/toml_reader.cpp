#include "config/toml_reader.h"

#include <algorithm>
#include <cctype>
#include <utility>

// The parser's assertions fail for some invalid files, such as "[[[", for which it then reports an error. Without
// NDEBUG they end the program, and with it the compiler may assume that they hold.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

// toml++ limits the nesting of values, but not that of dotted keys, and destroys tables recursively. Tables are nested
// at most as deep as there are single dots.
void refuse_deep_keys(std::string_view text, const std::string& origin) {
  constexpr std::ptrdiff_t most = 2000;
  std::ptrdiff_t dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) dots += text[i] == '.' && (i == 0 || text[i - 1] != '.') ? 1 : 0;
  if (dots > most) {
    throw UsageError("config", "{}: holds {} dots, more than the {} of any configuration", printable(origin), dots,
                     most);
  }
}

Value value_from(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::boolean:
      return {node.as_boolean()->get()};
    case toml::node_type::integer:
      return {node.as_integer()->get()};
    case toml::node_type::floating_point:
      return {node.as_floating_point()->get()};
    case toml::node_type::string:
      return {node.as_string()->get()};
    case toml::node_type::array: {
      std::vector<Value> items;
      for (const toml::node& item : *node.as_array()) {
        items.push_back(item.is_array() ? Value{Unfit{"a list"}} : value_from(item));
      }
      return {std::move(items)};
    }
    case toml::node_type::table:
      return {Unfit{"a table"}};
    default:
      return {Unfit{"a date or a time"}};
  }
}

// Returns the name as written in TOML, so that a name containing a dot is distinct from two names.
std::string key_part(const toml::key& key) {
  const std::string_view name = key.str();
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  return bare ? std::string(name) : toml_value({std::string(name)});
}

// The nesting of tables is limited by refuse_deep_keys and toml++.
void add_entries(const std::string& prefix, const toml::table& table, std::vector<TomlEntry>& entries) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + key_part(name);
    const toml::table* const inner = node.as_table();
    if (inner && !inner->empty()) {
      add_entries(key + ".", *inner, entries);
    } else {
      const toml::source_position place = name.source().begin;
      entries.push_back({key, value_from(node), place.line, place.column});
    }
  }
}

}  // namespace

std::vector<TomlEntry> read_toml(std::string_view text, const std::string& origin) {
  refuse_deep_keys(text, origin);
  std::vector<TomlEntry> entries;
  try {
    const toml::table root = toml::parse(text, origin);
    add_entries("", root, entries);
  } catch (const toml::parse_error& error) {
    const bool bare_word = error.description().find("value type") != std::string_view::npos;
    throw UsageError("config", "{}:{}:{}: {}{}", printable(origin), error.source().begin.line,
                     error.source().begin.column, printable(error.description()),
                     bare_word ? "; text stands in quotes" : "");
  }
  std::sort(entries.begin(), entries.end(), [](const TomlEntry& a, const TomlEntry& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return entries;
}

}  // namespace trainyard
