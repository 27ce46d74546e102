/// What has to be the same on all ranks, compared before they train.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "distributed/process_group.h"

namespace trainyard {

/// facts: what is compared, as a setting, and what it is on this rank; names in one order. Throws UsageError,
/// on all ranks, that names the first difference and a rank that differs from rank 0. Called by all ranks, of which
/// there are several.
void require_same(ProcessGroup& group, const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace trainyard
