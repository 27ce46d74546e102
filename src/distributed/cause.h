/// Finds out why a run on several devices failed: which of the failed ranks failed first and caused the others to fail.
#pragma once

#include <optional>
#include <string>

#include "distributed/outcome.h"

namespace trainyard {

struct Cause {
  int rank = 0;
  ExitCode code = ExitCode::run_failed;
  std::string message;  ///< the error that the rank reported; empty: it reported none
  int exit_code = 0;    ///< RankFailure::exit_code of a rank that reported no error
};

/// In order of precedence: the first error that is not secondary; the first process that ended without reporting an
/// error, e.g. because it was killed; the first secondary error. Empty if no rank failed. Pure.
std::optional<Cause> first_cause(const Outcomes& outcomes);

}  // namespace trainyard
