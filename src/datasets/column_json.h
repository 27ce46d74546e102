/// Converts columns to and from JSON. Parsed columns may contradict the field: see columns_error().
#pragma once

#include <nlohmann/json.hpp>

#include "datasets/column.h"

namespace trainyard {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Column, name, mean, std, categories)

}  // namespace trainyard
