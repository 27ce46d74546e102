#include "loader/load_splits.h"

#include "loader/cache_policy.h"

namespace trainyard {

std::vector<LoadedSplit> load_splits(const PoolOptions& options, const DatasetFactory& factory) {
  require_usable_cache_name(options);
  std::vector<LoadedSplit> splits = factory();
  require_equal_fields(splits);
  if (options.sampling == Sampling::balanced) splits.front().by_class = SamplesByClass(*splits.front().dataset);
  apply_cache(options, splits);
  return splits;
}

}  // namespace trainyard
