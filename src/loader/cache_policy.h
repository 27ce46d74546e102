/// Checks which splits loader.cache may keep, and puts the cache in shared memory in front of them.
#pragma once

#include <vector>

#include "loader/pool_options.h"
#include "loader/split.h"

namespace trainyard {

/// Throws UsageError if options.cache_name is not a file name, or if there is no cache in shared memory to name.
void require_usable_cache_name(const PoolOptions& options);

/// Puts train and val behind the cache that `options` request; test is read once and never kept. Does nothing for
/// SampleCache::gpu, because the trainer keeps those samples. Throws UsageError, naming the transform or the split, if
/// a cached sample would differ from one that is read anew; MachineError if the shared memory is too small.
void apply_cache(const PoolOptions& options, std::vector<LoadedSplit>& splits);

}  // namespace trainyard
