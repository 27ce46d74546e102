/// Starts the pool of workers that a configuration describes.
///
///     Config config;
///     config.data.name = "image_folder";
///     config.data.root = "photos";
///     WorkerPool pool = open_pool(config);  // before anything else in main
///     DataLoader train(pool, Split::train, {.shuffle = true});
#pragma once

#include "config/config.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// Starts the pool that `config` describes. The splits train, val and, if the data has it, test are at their positions
/// in Split. Reads the sections `data`, `transform` and `loader`, and `train.seed`. REQUIRES and throws what WorkerPool
/// does; throws UsageError for a value that its setting does not allow.
WorkerPool open_pool(const Config& config);

/// The same, with other options than those of `config`.
WorkerPool open_pool(const Config& config, const PoolOptions& options);

/// The pool's options as configured.
PoolOptions pool_options(const Config& config);

/// Builds the splits with their transforms.
DatasetFactory dataset_factory(const Config& config);

}  // namespace trainyard
