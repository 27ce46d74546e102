#include "commands/splits.h"

namespace trainyard {

PoolOptions pool_options(const Config& config) {
  return {.workers = config.loader.workers,
          .batch_size = config.loader.batch_size,
          .prefetch = config.loader.prefetch,
          .timeout_seconds = config.loader.timeout,
          .on_worker_error = on_worker_error_from(config.loader.on_worker_error),
          .cache = sample_cache_from(config.loader.cache),
          .seed = config.train.seed};
}

DatasetFactory dataset_factory(const Config& config) {
  return [data = config.data, transforms = config.transform.train] {
    std::vector<LoadedSplit> splits(2);
    splits[0].dataset = make_dataset(data, Split::train);
    splits[0].transforms = TransformPipeline(transforms, splits[0].dataset->spec());
    splits[1].dataset = make_dataset(data, Split::test);
    return splits;
  };
}

}  // namespace trainyard
