/// Detects impossible configurations before anything expensive starts.
#pragma once

#include "config/config.h"

namespace trainyard {

/// Throws UsageError naming the key if a value is not allowed by the settings table.
void validate_values(const Config& config);

/// Calls validate_values and also checks constraints between keys. Throws UsageError.
void validate(const Config& config);

}  // namespace trainyard
