/// Checks before training that all ranks agree, e.g. on the data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "distributed/process_group.h"

namespace trainyard {

/// facts: names, e.g. of settings, and their values on this rank, in the same order on all ranks. Throws UsageError on
/// all ranks that names the first difference and a rank that differs from rank 0. Called by all ranks; REQUIRES at
/// least two.
void require_same(ProcessGroup& group, const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace trainyard
