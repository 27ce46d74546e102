#include "loader/open_pool.h"

#include "config/validate.h"
#include "datasets/splits.h"

namespace trainyard {

WorkerPool open_pool(const Config& config) { return open_pool(config, pool_options(config)); }

WorkerPool open_pool(const Config& config, const PoolOptions& options) {
  validate(config);
  return WorkerPool(options, dataset_factory(config));
}

PoolOptions pool_options(const Config& config) {
  return {.workers = config.loader.workers,
          .batch_size = config.loader.batch_size,
          .prefetch = config.loader.prefetch,
          .timeout_seconds = config.loader.timeout,
          .on_worker_error = config.loader.on_worker_error,
          .cache = config.loader.cache,
          .cache_name = config.loader.cache_name,
          .sampling = config.loader.sampling,
          .seed = config.train.seed};
}

DatasetFactory dataset_factory(const Config& config) {
  return [data = config.data, transform = config.transform] {
    std::vector<LoadedSplit> splits;
    for (SplitDataset& made : make_splits(data)) {
      const bool train = splits.size() == static_cast<std::size_t>(Split::train);
      TransformPipeline transforms(train ? transform.train : transform.test, made.dataset->fields(), transform.decode);
      splits.push_back(
          {.dataset = std::move(made.dataset), .transforms = std::move(transforms), .from_train = made.from_train});
    }
    return splits;
  };
}

}  // namespace trainyard
