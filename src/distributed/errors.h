/// Errors of a rank that are caused by another rank.
#pragma once

#include "util/error.h"
#include "util/secondary_error.h"

namespace trainyard {

/// Other ranks do not answer, for a reason unknown to this rank.
class RanksLost : public RunError {
 public:
  using RunError::RunError;
};

}  // namespace trainyard
