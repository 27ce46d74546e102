#include "loader/open_pool.h"

#include <algorithm>

#include "config/validate.h"
#include "datasets/splits.h"
#include "datasets/stored_images.h"

namespace trainyard {

namespace {

// The space for an image's file in a batch, if the GPU decodes it: for half as much again as the largest of a hundred
// files. Workers decode the few larger ones.
std::size_t room_for_file(const Dataset& dataset) {
  constexpr std::size_t looked_at = 100;
  constexpr std::size_t most = std::size_t{16} << 20;
  const std::size_t largest = largest_image_file(dataset, looked_at);
  return std::min(largest + largest / 2, most);
}

}  // namespace

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
  TransformConfig transform = config.transform;
  // On the CPU, exact gives the same pixels.
  if (config.train.device == "cpu" && transform.decode == DecodeMode::gpu) transform.decode = DecodeMode::exact;
  return [data = config.data, transform] {
    std::vector<LoadedSplit> splits;
    for (SplitDataset& made : make_splits(data)) {
      const bool train = splits.size() == static_cast<std::size_t>(Split::train);
      TransformPipeline transforms(train ? transform.train : transform.test, made.dataset->fields(), transform.decode);
      if (transform.decode == DecodeMode::gpu) transforms.leave_files_to_gpu(room_for_file(*made.dataset));
      splits.push_back(
          {.dataset = std::move(made.dataset), .transforms = std::move(transforms), .from_train = made.from_train});
    }
    return splits;
  };
}

}  // namespace trainyard
