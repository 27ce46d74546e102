#include "commands/splits.h"

#include "datasets/splits.h"

namespace trainyard {
namespace {

LoadedSplit with_transforms(SplitDataset made, const TransformConfig& transform, Split split) {
  TransformPipeline pipeline(split == Split::train ? transform.train : transform.test, made.dataset->fields(),
                             transform.decode);
  return {.dataset = std::move(made.dataset), .transforms = std::move(pipeline), .from_train = made.from_train};
}

}  // namespace

PoolOptions pool_options(const Config& config) {
  return {.workers = config.loader.workers,
          .batch_size = config.loader.batch_size,
          .prefetch = config.loader.prefetch,
          .timeout_seconds = config.loader.timeout,
          .on_worker_error = config.loader.on_worker_error,
          .cache = config.loader.cache,
          .cache_name = config.loader.cache_name,
          .seed = config.train.seed};
}

DatasetFactory dataset_factory(const Config& config) {
  return [data = config.data, transform = config.transform] {
    std::vector<LoadedSplit> splits;
    for (SplitDataset& made : make_splits(data)) {
      const auto split = static_cast<Split>(splits.size());
      splits.push_back(with_transforms(std::move(made), transform, split));
    }
    return splits;
  };
}

LoadedSplit load_split(const DataConfig& data, const TransformConfig& transform, Split split) {
  return with_transforms(make_split(data, split), transform, split);
}

}  // namespace trainyard
