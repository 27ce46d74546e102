/// From the datasets of a run to the splits that its workers read.
#pragma once

#include <vector>

#include "loader/pool_options.h"
#include "loader/split.h"

namespace trainyard {

/// What `factory` builds, train and val behind the cache that `options` ask for. Throws what the factory and the cache
/// policy throw.
std::vector<LoadedSplit> load_splits(const PoolOptions& options, const DatasetFactory& factory);

}  // namespace trainyard
