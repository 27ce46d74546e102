/// What a worker pool is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainyard {

/// What happens when a sample cannot be read: `get` throws, or the worker that reads it dies or takes too long.
enum class OnWorkerError : std::uint8_t {
  stop,   ///< the run stops and names the sample
  retry,  ///< it is read again, by a new worker where the old one is lost; after `max_tries` the run stops
  skip,   ///< as retry, but after `max_tries` the sample is left out of its batch, which is smaller by it
};

/// Where samples are kept once they have been read.
enum class SampleCache : std::uint8_t {
  none,
  shm,  ///< in shared memory, every sample of train and val (sample_cache.h)
  gpu,  ///< on the GPU, by the trainer (loader_torch/resident_split.h); the pool sees to it that samples can be kept
};

/// The splits that are kept: train and val, the first two. Test is read once.
inline constexpr std::size_t cached_splits = 2;

/// How often one sample is tried in one epoch.
constexpr int max_tries = 3;

/// "stop", "retry" or "skip"; throws UsageError for anything else.
OnWorkerError on_worker_error_from(std::string_view name);
/// "none", "shm" or "gpu"; throws UsageError for anything else.
SampleCache sample_cache_from(std::string_view name);

struct PoolOptions {
  int workers = 2;              ///< processes, 0 to ChunkWord::max_workers; 0: samples are read by whoever calls next()
  int batch_size = 128;         ///< samples a batch, at least 1
  int prefetch = 4;             ///< batches prepared ahead, at least 1; see arena_shape()
  double timeout_seconds = 60;  ///< what one sample may take, over 0; unused without workers
  OnWorkerError on_worker_error = OnWorkerError::stop;
  SampleCache cache = SampleCache::none;
  std::string cache_name;              ///< of the cache in shared memory (sample_cache.h); empty: none
  std::uint64_t seed = 0;              ///< of the order and of the transforms
  std::string directory = "/dev/shm";  ///< a tmpfs for the shared memory; without workers of the cache only
};

}  // namespace trainyard
