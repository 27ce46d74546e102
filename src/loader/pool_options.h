/// The options of a worker pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "config/choices.h"

namespace trainyard {

/// The splits that may be cached: train and val, the first two. Test is read only once.
inline constexpr std::size_t cached_splits = 2;

/// Attempts per sample and epoch.
constexpr int max_tries = 3;

/// The processes of one run on a host, each with its own pool. With workers, the zygote of local rank 0 builds the
/// datasets and caches for all of them (host_socket.h), so that they are in memory only once.
struct LocalRanks {
  std::string run{};            ///< known to all of them, and used by no other process of the host at the same time
  int rank = 0;                 ///< of this process, from 0 to count - 1
  int count = 1;                ///< their pools have the same options and datasets; only the number of workers may
                                ///< differ
  double timeout_seconds = 60;  ///< how long they wait for local rank 0 to start
};

struct PoolOptions {
  int workers = 2;              ///< 0 to ChunkWord::max_workers processes; 0: the caller of next() reads the samples
  int batch_size = 128;         ///< samples per batch, at least 1
  int prefetch = 4;             ///< batches prepared ahead, at least 1; see arena_shape()
  double timeout_seconds = 60;  ///< time limit per sample, over 0; unused without workers
  OnWorkerError on_worker_error = OnWorkerError::stop;
  SampleCache cache = SampleCache::none;
  std::string cache_name;                 ///< of the cache in shared memory (sample_cache.h); empty: none
  Sampling sampling = Sampling::uniform;  ///< of train, if a loader shuffles it
  std::uint64_t seed = 0;                 ///< for the order and the transforms
  std::string directory = "/dev/shm";     ///< a tmpfs for shared memory; without workers only for the cache
  LocalRanks local_ranks{};
};

}  // namespace trainyard
