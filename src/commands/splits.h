/// What the commands that read data have in common: the worker pool their configuration asks for.
#pragma once

#include "config/config.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// The pool's options as configured.
PoolOptions pool_options(const Config& config);

/// One split with its transforms.
LoadedSplit load_split(const DataConfig& data, const TransformConfig& transform, Split split);

/// Builds both splits.
DatasetFactory dataset_factory(const Config& config);

}  // namespace trainyard
