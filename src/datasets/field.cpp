#include "datasets/field.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>

#include <fmt/ranges.h>

namespace trainyard {
namespace {

struct TypeInfo {
  const char* name;
  std::size_t size;
};
constexpr std::array types = {TypeInfo{"uint8", 1}, TypeInfo{"int32", 4}, TypeInfo{"int64", 8}, TypeInfo{"float32", 4},
                              TypeInfo{"float64", 8}};

const TypeInfo& info(DType type) { return types[static_cast<std::size_t>(type)]; }

// Whether all `count` elements are allowed. Works in branch-free blocks that the compiler vectorizes: a mask of 512 ×
// 512 takes 10 µs.
template <typename T>
bool all_allowed(const std::byte* elements, std::size_t count, T limit, T ignored) {
  constexpr std::size_t block = 64;
  using Unsigned = std::make_unsigned_t<T>;
  const auto is_bad = [&](T value) {
    return static_cast<unsigned char>((static_cast<Unsigned>(value) >= static_cast<Unsigned>(limit)) &
                                      (value != ignored));
  };
  std::size_t at = 0;
  unsigned char any = 0;
  if (count >= block) {
    std::array<T, block> values;
    std::array<unsigned char, block> bad{};
    for (; at + block <= count; at += block) {
      std::memcpy(values.data(), elements + at * sizeof(T), sizeof values);
      for (std::size_t i = 0; i < block; ++i) bad[i] |= is_bad(values[i]);
    }
    for (const unsigned char one : bad) any |= one;
  }
  for (; at < count; ++at) {
    T value{};
    std::memcpy(&value, elements + at * sizeof(T), sizeof value);
    any |= is_bad(value);
  }
  return any == 0;
}

// Returns e.g. " at row 3, column 5" or " at place 7"; empty for a single value.
std::string place_of(const Field& field, std::size_t element) {
  if (field.shape.empty()) return "";
  if (field.shape.size() == 1) return fmt::format(" at place {}", element);
  const auto width = static_cast<std::size_t>(field.shape[1]);
  if (field.shape.size() == 2) return fmt::format(" at row {}, column {}", element / width, element % width);
  return fmt::format(" at element {}", element);
}

template <typename T>
std::string values_error_of(const Field& field, std::span<const std::byte> elements) {
  const ValueRange& range = *field.values;
  constexpr auto most = std::numeric_limits<T>::max();
  const bool all = std::cmp_greater(range.count, most);
  if (all && std::is_unsigned_v<T>) return "";
  const T limit = all ? most : static_cast<T>(range.count);
  // An ignored value that the type cannot represent never occurs.
  const bool has_ignored = range.ignored && std::in_range<T>(*range.ignored);
  const T ignored = has_ignored ? static_cast<T>(*range.ignored) : T{0};
  const std::size_t count = elements.size() / sizeof(T);
  if (range.count > 0 || has_ignored) {
    if (all_allowed<T>(elements.data(), count, limit, ignored)) return "";
  }
  for (std::size_t i = 0; i < count; ++i) {
    T value{};
    std::memcpy(&value, elements.data() + i * sizeof(T), sizeof value);
    const bool allowed = (value >= 0 && value < limit) || (has_ignored && value == ignored);
    if (allowed) continue;
    return fmt::format("{} has the value {}{}; allowed: 0 to {}{}", field.name, +value, place_of(field, i),
                       range.count - 1, range.ignored ? fmt::format(", and {} (ignored)", *range.ignored) : "");
  }
  return "";
}

}  // namespace

const char* to_string(DType type) { return info(type).name; }

std::optional<DType> dtype_of(std::string_view name) {
  const auto found = std::find_if(types.begin(), types.end(), [&](const TypeInfo& type) { return name == type.name; });
  return found == types.end() ? std::nullopt : std::optional(static_cast<DType>(found - types.begin()));
}

std::size_t size_of(DType type) { return info(type).size; }

std::size_t Field::elements() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1},
                         [](std::size_t n, std::int64_t extent) { return n * static_cast<std::size_t>(extent); });
}

const Field* find_field(std::span<const Field> fields, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

Field label_field(std::size_t classes) {
  return {.name = "label", .dtype = DType::int64, .values = ValueRange{static_cast<std::int64_t>(classes)}};
}

ImageSize image_size(const Field& field) {
  return {static_cast<std::size_t>(field.shape[0]), static_cast<std::size_t>(field.shape[1])};
}

std::size_t channels_of(const Field& field) {
  return field.shape.size() == 3 ? static_cast<std::size_t>(field.shape[2]) : 1;
}

std::string values_error(const Field& field, std::span<const std::byte> elements) {
  if (!field.values) return "";
  switch (field.dtype) {
    case DType::uint8:
      return values_error_of<std::uint8_t>(field, elements);
    case DType::int32:
      return values_error_of<std::int32_t>(field, elements);
    case DType::int64:
      return values_error_of<std::int64_t>(field, elements);
    case DType::float32:
    case DType::float64:
      break;
  }
  return "";
}

std::string describe(std::span<const Field> fields) {
  std::vector<std::string> parts;
  for (const Field& field : fields) {
    std::string shape = field.shape.empty() ? "" : fmt::format(", {}", fmt::join(field.shape, " x "));
    if (field.varies) shape += " at most";
    parts.push_back(fmt::format("{} ({}{})", field.name, to_string(field.dtype), shape));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace trainyard
