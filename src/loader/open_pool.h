/// From a configuration to a running pool of workers.
///
///     Config config;
///     config.data.name = "image_folder";
///     config.data.root = "photos";
///     WorkerPool pool = open_pool(config);  // first of all in main
///     DataLoader train(pool, Split::train, {.shuffle = true});
#pragma once

#include "config/config.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// The pool that `config` asks for, with train, val and, if the data has it, test, at their places in Split. Of
/// `config` it reads `data`, `transform`, `loader` and `train.seed`. REQUIRES, and throws, what WorkerPool does; throws
/// UsageError for a value that its setting does not allow.
WorkerPool open_pool(const Config& config);

/// The same with other options than `config` asks for.
WorkerPool open_pool(const Config& config, const PoolOptions& options);

/// The pool's options as configured.
PoolOptions pool_options(const Config& config);

/// Builds the splits with their transforms.
DatasetFactory dataset_factory(const Config& config);

}  // namespace trainyard
