/// Refuses a setting that would have no effect.
#pragma once

#include <string>

#include "util/error.h"

namespace trainyard {

/// Throws UsageError if `value`, of the setting `key`, is not the default. Called if `owner`, the only choice that uses
/// it, e.g. "task.regression.loss = huber", is not made.
inline void require_default(const std::string& key, double value, double default_value, const std::string& owner) {
  if (value == default_value) return;
  throw UsageError(key, "is {}, but only {} has one; set that, or drop it", value, owner);
}

}  // namespace trainyard
