/// What makes a configuration impossible, found before anything heavy starts.
#pragma once

#include "config/config.h"

namespace trainyard {

/// Throws UsageError that names the key if a value is not what the settings table allows.
void validate_values(const Config& config);

/// validate_values, and what a single key's range cannot say: keys that must agree. Throws UsageError.
void validate(const Config& config);

}  // namespace trainyard
