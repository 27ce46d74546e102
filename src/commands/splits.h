/// What the commands that read data have in common: the worker pool their configuration asks for.
#pragma once

#include "config/config.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// The pool's options as configured.
PoolOptions pool_options(const Config& config);

/// One split with its transforms. REQUIRES that the data has it.
LoadedSplit load_split(const DataConfig& data, const TransformConfig& transform, Split split);

/// Builds train, val and, if the data has it, test, with their transforms.
DatasetFactory dataset_factory(const Config& config);

}  // namespace trainyard
