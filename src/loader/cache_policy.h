/// Which splits may be kept where loader.cache says, and how the cache in shared memory gets in front of them.
#pragma once

#include <vector>

#include "loader/pool_options.h"
#include "loader/split.h"

namespace trainyard {

/// Throws UsageError if options.cache_name is no file name, or if there is no cache in shared memory to name.
void require_usable_cache_name(const PoolOptions& options);

/// Puts train and val behind the cache that `options` ask for; test is read once and never kept. SampleCache::gpu
/// changes nothing here: the trainer keeps the samples. Throws UsageError, naming the transform or the split, if a
/// cached sample would differ from one read anew; MachineError if the shared memory is too small.
void apply_cache(const PoolOptions& options, std::vector<LoadedSplit>& splits);

}  // namespace trainyard
