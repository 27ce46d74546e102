/// Turns the datasets of a run into the splits that its workers read.
#pragma once

#include <vector>

#include "loader/pool_options.h"
#include "loader/split.h"

namespace trainyard {

/// Returns what `factory` builds, with train and val behind the cache that `options` request, and with the classes of
/// train's samples if they are sampled by class. Throws what the factory, the cache policy and SamplesByClass throw.
std::vector<LoadedSplit> load_splits(const PoolOptions& options, const DatasetFactory& factory);

}  // namespace trainyard
