#include "config/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/nearest.h"
#include "util/printable.h"

namespace trainyard {
namespace {

template <typename T>
constexpr bool is_vector = false;
template <typename T>
constexpr bool is_vector<std::vector<T>> = true;

// Formats a value for errors: for people, not as TOML.
std::string shown(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value.of)) return fmt::format("'{}'", printable(*text, 100));
  if (const auto* unfit = std::get_if<Unfit>(&value.of)) return unfit->kind;
  if (const auto* list = std::get_if<std::vector<Value>>(&value.of)) {
    constexpr std::size_t most = 5;
    std::vector<std::string> items;
    for (const Value& item : *list) items.push_back(shown(item));
    if (items.size() > most) items = {items[0], items[1], fmt::format("... ({} items)", list->size())};
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  return toml_value(value);
}

template <typename T>
std::optional<T> read(const Value& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
    if (const auto* same = std::get_if<T>(&value.of)) return *same;
  } else if constexpr (std::is_same_v<T, double>) {
    if (const auto* real = std::get_if<double>(&value.of)) return *real;
    if (const auto* whole = std::get_if<std::int64_t>(&value.of)) return static_cast<double>(*whole);
  } else if (const auto* whole = std::get_if<std::int64_t>(&value.of); whole && std::in_range<T>(*whole)) {
    return static_cast<T>(*whole);
  }
  return std::nullopt;
}

std::string refusal(const Value& value, const Allowed& allowed) {
  if (allowed.choices.empty()) return fmt::format("is {}; allowed: {}", shown(value), allowed.words);
  const auto* text = std::get_if<std::string>(&value.of);
  return fmt::format("is {}; allowed, nearest first: {}", shown(value),
                     fmt::join(text ? nearest_first(*text, allowed.choices) : allowed.choices, ", "));
}

// Assigns one value, of a field or of a list's item, after checking it.
template <typename T>
std::string take(T& target, const Allowed& allowed, const Value& value) {
  std::optional<T> read_value = read<T>(value);
  if (!read_value || !allowed.holds(value)) return refusal(value, allowed);
  if constexpr (std::is_same_v<T, std::string>) {
    if (!is_utf8(*read_value)) return fmt::format("is {}, which is not UTF-8; give text in UTF-8", shown(value));
    if (read_value->find('\0') != std::string::npos)
      return fmt::format("is {}; allowed: text without NUL", shown(value));
  }
  target = std::move(*read_value);
  return {};
}

template <typename T>
std::string take(std::vector<T>& target, const Allowed& allowed, const Value& value) {
  const auto* given = std::get_if<std::vector<Value>>(&value.of);
  if (!given || (allowed.items != 0 && given->size() != allowed.items)) {
    return fmt::format("is {}; allowed: a list{}, each {}", shown(value),
                       allowed.items == 0 ? "" : fmt::format(" of {}", allowed.items), allowed.words);
  }
  std::vector<T> items(given->size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (const std::string wrong = take(items[i], allowed, (*given)[i]); !wrong.empty()) {
      return fmt::format("has item {}, which {}", i + 1, wrong);
    }
  }
  target = std::move(items);
  return {};
}

std::string take(const EnumField& target, const Allowed& allowed, const Value& value) {
  std::string word;
  if (const std::string wrong = take(word, allowed, value); !wrong.empty()) return wrong;
  const auto found = std::find(target.words.begin(), target.words.end(), word);
  *target.value = static_cast<unsigned char>(found - target.words.begin());
  return {};
}

template <typename T>
std::optional<T> number_in(const std::string& text) {
  T number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

template <typename T>
Value item_from(const std::string& text) {
  if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "false") return {text == "true"};
  } else if constexpr (std::is_same_v<T, double>) {
    if (const auto number = number_in<double>(text)) return {*number};
  } else if constexpr (std::is_integral_v<T>) {
    if (const auto number = number_in<std::int64_t>(text)) return {*number};
  }
  return {text};
}

template <typename T>
Value value_of_one(const T& target) {
  if constexpr (is_vector<T>) {
    std::vector<Value> items;
    for (const auto& item : target) items.push_back(value_of_one(item));
    return {std::move(items)};
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (!std::in_range<std::int64_t>(target)) return {std::to_string(target)};  // too large for a TOML integer
    return {static_cast<std::int64_t>(target)};
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    return {static_cast<std::int64_t>(target)};
  } else {
    return {target};
  }
}

Value value_of_one(const EnumField& field) { return {std::string(field.words[*field.value])}; }

// Calls `visitor` with the type of the field's values; for an enumeration, text.
template <typename Visitor>
auto visit_type(Visitor visitor, const SettingField& field) {
  return std::visit(
      [&]<typename F>(const F& /*field*/) {
        if constexpr (std::is_same_v<F, EnumField>) {
          return visitor.template operator()<std::string>();
        } else {
          return visitor.template operator()<std::remove_pointer_t<F>>();
        }
      },
      field);
}

std::string toml_text(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string toml_number(double number) {
  std::string text = fmt::format("{}", number);  // the shortest that reads back exactly
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

std::string assign(const SettingField& field, const Allowed& allowed, const Value& value) {
  return std::visit(
      [&]<typename F>(const F& target) {
        if constexpr (std::is_pointer_v<F>) {
          return take(*target, allowed, value);
        } else {
          return take(target, allowed, value);
        }
      },
      field);
}

Value value_of(const SettingField& field) {
  return std::visit(
      []<typename F>(const F& target) {
        if constexpr (std::is_pointer_v<F>) {
          return value_of_one(*target);
        } else {
          return value_of_one(target);
        }
      },
      field);
}

bool is_list(const SettingField& field) {
  return visit_type([]<typename T>() { return is_vector<T>; }, field);
}

Value value_from_texts(const SettingField& field, const std::vector<std::string>& texts) {
  return visit_type(
      [&]<typename T>() -> Value {
        if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          std::vector<Value> items;
          for (const std::string& text : texts) {
            if (!text.empty()) items.push_back({text});
          }
          return {std::move(items)};
        } else if constexpr (is_vector<T>) {
          std::vector<Value> items;
          for (const std::string& text : texts) {
            for (std::size_t begin = 0; begin < text.size();) {
              const std::size_t end = std::min(text.find(',', begin), text.size());
              items.push_back(item_from<typename T::value_type>(text.substr(begin, end - begin)));
              begin = end + 1;
            }
          }
          return {std::move(items)};
        } else {
          return item_from<T>(texts.back());
        }
      },
      field);
}

std::string toml_value(const Value& value) {
  return std::visit(
      []<typename T>(const T& of) -> std::string {
        if constexpr (std::is_same_v<T, std::string>) {
          return toml_text(of);
        } else if constexpr (std::is_same_v<T, double>) {
          return toml_number(of);
        } else if constexpr (std::is_same_v<T, Unfit>) {
          return of.kind;
        } else if constexpr (is_vector<T>) {
          std::vector<std::string> items;
          for (const Value& item : of) items.push_back(toml_value(item));
          return fmt::format("[{}]", fmt::join(items, ", "));
        } else {
          return fmt::format("{}", of);
        }
      },
      value.of);
}

}  // namespace trainyard
