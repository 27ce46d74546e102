/// What is known of the elements of a field that have a meaning of their own: a table's columns, the targets of a
/// regression.
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
  /// Of a number: mean and standard deviation in train; 0 and 1 if they are not known. The deviation is over 0.
  double mean = 0;
  double std = 1;
  /// Of an integer: the categories that train has. Each column has its own range of the field's values, one range
  /// behind the other: first the value of a category that train does not have, then those of `categories`, in their
  /// order.
  std::vector<std::string> categories{};
  bool operator==(const Column&) const = default;
};

/// Number of values in the range of `column`.
inline std::int64_t values_of(const Column& column) { return static_cast<std::int64_t>(column.categories.size()) + 1; }

/// What contradicts the field in its columns; empty: nothing. They are none or one for each element; if the field is of
/// integers, their ranges are Field::values.
std::string_view flaw_of_columns(const Field& field);

}  // namespace trainyard
