/// A value as a file or a flag gives it, before its setting is known, and its assignment to a field of Config.
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

/// Something that no setting can be: "a table", "a date".
struct Unfit {
  std::string kind;
};

struct Value {
  std::variant<bool, std::int64_t, double, std::string, std::vector<Value>, Unfit> of;
};

/// A field of an enumeration (config/words.h): the value v is written as words[v].
struct EnumField {
  unsigned char* value;
  std::span<const char* const> words;
};

/// A field of a settings struct.
using SettingField = std::variant<std::string*, bool*, int*, std::int64_t*, std::uint64_t*, double*,
                                  std::vector<std::string>*, std::vector<std::int64_t>*, EnumField>;

/// What a field, or each item of a list, may be.
struct Allowed {
  std::string words;                        ///< for errors: "a whole number from 1 to 10"
  std::string hint;                         ///< for help: "1..10"
  std::function<bool(const Value&)> holds;  ///< for a value of the field's type
  std::vector<std::string> choices{};       ///< of a word: all of them
  std::size_t items = 0;                    ///< of a list: exactly so many; 0: any number
};

/// Writes `value` to `field`. If its type or range is wrong, or a text is not UTF-8 or holds a NUL, the field stays as
/// it is and the result says so: "is 0; allowed: a whole number from 1 to 10". Empty: done.
std::string assign(const SettingField& field, const Allowed& allowed, const Value& value);

/// The value of a field.
Value value_of(const SettingField& field);

/// Reads what flags give: one text, or one for each item of a list. Empty texts are no items, and an item of numbers
/// may be several, with commas between. What is no number stays a text, which assign() refuses.
Value value_from_texts(const SettingField& field, const std::vector<std::string>& texts);

bool is_list(const SettingField& field);

/// The value as TOML. It reads back exactly; texts have to be UTF-8.
std::string toml_value(const Value& value);

}  // namespace trainyard
