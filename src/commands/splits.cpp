#include "commands/splits.h"

#include "util/error.h"

namespace trainyard {

PoolOptions pool_options(const Config& config) {
  return {.workers = config.loader.workers,
          .batch_size = config.loader.batch_size,
          .prefetch = config.loader.prefetch,
          .timeout_seconds = config.loader.timeout,
          .on_worker_error = on_worker_error_from(config.loader.on_worker_error),
          .cache = sample_cache_from(config.loader.cache),
          .cache_name = config.loader.cache_name,
          .seed = config.train.seed};
}

LoadedSplit load_split(const DataConfig& data, const TransformConfig& transform, Split split) {
  const DecodeMode decode = transform.decode == "scaled" ? DecodeMode::scaled : DecodeMode::exact;
  LoadedSplit loaded;
  loaded.dataset = make_dataset(data, split);
  if (loaded.dataset->spec().varies) {
    throw UsageError("data.name",
                     "the samples of '{}' vary in size, and models take images of one size; a training loop "
                     "of your own reads them through DataLoader (docs/extending.md)",
                     data.name);
  }
  loaded.transforms =
      TransformPipeline(split == Split::train ? transform.train : transform.test, loaded.dataset->spec(), decode);
  return loaded;
}

DatasetFactory dataset_factory(const Config& config) {
  return [data = config.data, transform = config.transform] {
    std::vector<LoadedSplit> splits(2);
    for (const Split split : {Split::train, Split::test}) {
      splits[static_cast<std::size_t>(split)] = load_split(data, transform, split);
    }
    return splits;
  };
}

}  // namespace trainyard
