#include "datasets/field.h"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/ranges.h>

namespace trainyard {
namespace {

struct TypeInfo {
  const char* name;
  std::size_t size;
};
constexpr std::array types = {TypeInfo{"uint8", 1}, TypeInfo{"int32", 4}, TypeInfo{"int64", 8}, TypeInfo{"float32", 4}};

const TypeInfo& info(DType type) { return types[static_cast<std::size_t>(type)]; }

}  // namespace

const char* to_string(DType type) { return info(type).name; }

std::size_t size_of(DType type) { return info(type).size; }

std::size_t Field::elements() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1},
                         [](std::size_t n, std::int64_t extent) { return n * static_cast<std::size_t>(extent); });
}

const Field* find_field(std::span<const Field> fields, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &*found;
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
