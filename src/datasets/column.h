/// Describes the elements of a field if each has its own meaning: the columns of a table, the targets of a regression.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

struct Field;

/// One element of a field.
struct Column {
  std::string name;
  /// For numbers: mean and standard deviation in train; 0 and 1 if unknown. std > 0.
  double mean = 0;
  double std = 1;
  /// For integers: the categories that occur in train. The columns have consecutive ranges of the field's values: in
  /// each range, first the value for a category that does not occur in train, then those of `categories`, in their
  /// order.
  std::vector<std::string> categories{};
  bool operator==(const Column&) const = default;
};

/// Number of values in the range of `column`.
inline std::int64_t values_of(const Column& column) { return static_cast<std::int64_t>(column.categories.size()) + 1; }

/// Returns how the field's columns contradict the field; empty if they do not. There must be no columns or one per
/// element; if the field is of integers, their ranges must add up to Field::values.
std::string_view columns_error(const Field& field);

}  // namespace trainyard
