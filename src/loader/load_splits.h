/// From the datasets of a run to the splits that its workers read.
#pragma once

#include <vector>

#include "loader/pool_options.h"
#include "loader/split.h"

namespace trainyard {

/// What `factory` builds, train and val behind the cache that `options` ask for, and the classes of train's samples if
/// they are sampled by class. Throws what the factory, the cache policy and SamplesByClass throw.
std::vector<LoadedSplit> load_splits(const PoolOptions& options, const DatasetFactory& factory);

}  // namespace trainyard
