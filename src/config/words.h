/// Enumerations and the words for their values in files, flags and messages. A one-byte enumeration with values from 0
/// up is bound to its words once, next to it, in the order of the values:
///
///     enum class Stem : std::uint8_t { standard, small };
///     constexpr std::array<const char*, 2> words_of(Stem) { return {"standard", "small"}; }
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

namespace trainyard {

template <typename T>
concept WordEnum = std::is_enum_v<T> && sizeof(T) == 1 && requires(T value) { words_of(value).front(); };

/// The words of an enumeration: value v is written as all_words<T>[v].
template <WordEnum T>
inline constexpr auto all_words = words_of(T{});

/// Returns the word of a value.
template <WordEnum T>
constexpr const char* word(T value) {
  return all_words<T>[static_cast<std::size_t>(value)];
}

}  // namespace trainyard
