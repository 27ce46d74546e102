#include "commands/splits.h"

namespace trainyard {

PoolOptions pool_options(const Config& config) {
  return {.workers = config.loader.workers,
          .batch_size = config.loader.batch_size,
          .prefetch = config.loader.prefetch,
          .timeout_seconds = config.loader.timeout,
          .on_worker_error = on_worker_error_from(config.loader.on_worker_error),
          .seed = config.train.seed};
}

DatasetFactory dataset_factory(const Config& config) {
  return [data = config.data, transform = config.transform] {
    const DecodeMode decode = transform.decode == "scaled" ? DecodeMode::scaled : DecodeMode::exact;
    std::vector<LoadedSplit> splits(2);
    for (const Split split : {Split::train, Split::test}) {
      LoadedSplit& loaded = splits[static_cast<std::size_t>(split)];
      loaded.dataset = make_dataset(data, split);
      loaded.transforms =
          TransformPipeline(split == Split::train ? transform.train : transform.test, loaded.dataset->spec(), decode);
    }
    return splits;
  };
}

}  // namespace trainyard
