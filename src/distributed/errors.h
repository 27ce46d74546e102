/// Errors of a rank that have their cause on another one.
#pragma once

#include "util/error.h"
#include "util/secondary_error.h"

namespace trainyard {

/// Other ranks do not answer; why is not known here.
class RanksLost : public RunError {
 public:
  using RunError::RunError;
};

}  // namespace trainyard
