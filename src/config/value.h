/// A value parsed from a file or a flag before its setting is known, and its assignment to a field of Config.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace trainyard {

/// A TOML value that no setting accepts: "a table", "a date".
struct Unfit {
  std::string kind;
};

struct Value {
  std::variant<bool, std::int64_t, double, std::string, std::vector<Value>, Unfit> of;
};

/// A field of an enumeration (config/words.h): value v is written as words[v].
struct EnumField {
  unsigned char* value;
  std::span<const char* const> words;
};

/// A field of a settings struct.
using SettingField = std::variant<std::string*, bool*, int*, std::int64_t*, std::uint64_t*, double*,
                                  std::vector<std::string>*, std::vector<std::int64_t>*, EnumField>;

/// The allowed values of a field, or of each item of a list.
struct Allowed {
  std::string words;                        ///< for errors: "a whole number from 1 to 10"
  std::string hint;                         ///< for help: "1..10"
  std::function<bool(const Value&)> holds;  ///< for a value of the field's type
  std::vector<std::string> choices{};       ///< for a word: all of them
  std::size_t items = 0;                    ///< for a list: the exact number of items; 0: any number
};

/// Writes `value` to `field`. If its type or range is wrong, or a text is not UTF-8 or contains NUL, the field is
/// unchanged and the result explains why: "is 0; allowed: a whole number from 1 to 10". Empty on success.
std::string assign(const SettingField& field, const Allowed& allowed, const Value& value);

/// Returns the value of a field.
Value value_of(const SettingField& field);

/// Parses the texts of a flag: one text, or one per item of a list. Empty texts are not items, and an item of a list of
/// numbers may be several, separated by commas. Text that is not a number remains text, which assign() refuses.
Value value_from_texts(const SettingField& field, const std::vector<std::string>& texts);

bool is_list(const SettingField& field);

/// Returns the value as TOML, which reads back exactly. REQUIRES that texts are UTF-8.
std::string toml_value(const Value& value);

}  // namespace trainyard
