#include "datasets/column.h"

#include <cfloat>
#include <cmath>

#include "datasets/field.h"

namespace trainyard {

std::string_view columns_error(const Field& field) {
  if (field.columns.empty()) return {};
  if (field.varies || field.columns.size() != field.elements()) return "has another number of columns than of elements";
  const bool is_number = is_floating_point(field.dtype);
  std::int64_t values = 0;
  for (const Column& column : field.columns) {
    if (column.name.empty()) return "has a column without a name";
    if (!std::isfinite(column.mean) || !(column.std >= DBL_MIN && column.std <= DBL_MAX)) {
      return "has a column whose mean or deviation is impossible";
    }
    if (is_number && !column.categories.empty()) return "has categories for numbers";
    values += values_of(column);
  }
  if (!is_number && (!field.values || field.values->count != values)) {
    return "has another number of values than of categories";
  }
  return {};
}

}  // namespace trainyard
