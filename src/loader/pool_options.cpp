#include "loader/pool_options.h"

#include "util/error.h"

namespace trainyard {

OnWorkerError on_worker_error_from(std::string_view name) {
  if (name == "stop") return OnWorkerError::stop;
  if (name == "retry") return OnWorkerError::retry;
  if (name == "skip") return OnWorkerError::skip;
  throw UsageError("loader.on_worker_error", "is '{}'; allowed: stop, retry, skip", name);
}

SampleCache sample_cache_from(std::string_view name) {
  if (name == "none") return SampleCache::none;
  if (name == "shm") return SampleCache::shm;
  if (name == "gpu") return SampleCache::gpu;
  throw UsageError("loader.cache", "is '{}'; allowed: none, shm, gpu", name);
}

}  // namespace trainyard
