/// What the commands that read data have in common: the worker pool their configuration asks for.
#pragma once

#include "config/config.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// The pool's options as configured.
PoolOptions pool_options(const Config& config);

/// Builds both splits: each with its transforms.
DatasetFactory dataset_factory(const Config& config);

}  // namespace trainyard
