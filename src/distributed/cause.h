/// Why a run on several devices failed: of all ranks that ended badly, the one that the others followed.
#pragma once

#include <optional>
#include <string>

#include "distributed/outcome.h"

namespace trainyard {

struct Cause {
  int rank = 0;
  ExitCode code = ExitCode::run_failed;
  std::string message;  ///< the rank's own; empty: it could not tell
  int exit_code = 0;    ///< of a rank that could not tell, as RankFailure has it
};

/// In this order: the first error of a rank that is not secondary; the first process that ended without a word, e.g.
/// killed; the first secondary error. Nothing if no rank failed. Pure.
std::optional<Cause> first_cause(const Outcomes& outcomes);

}  // namespace trainyard
