/// What a worker pool is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "config/choices.h"

namespace trainyard {

/// The splits that are kept: train and val, the first two. Test is read once.
inline constexpr std::size_t cached_splits = 2;

/// How often one sample is tried in one epoch.
constexpr int max_tries = 3;

/// The processes of one run on a host, each with a pool of its own. With workers, the zygote of local rank 0 builds the
/// datasets and caches for all of them (host_socket.h), so that they are in memory once.
struct LocalRanks {
  std::string run{};            ///< a text that all of them know, and no other processes of the host at that time
  int rank = 0;                 ///< of this process, from 0 to count - 1
  int count = 1;                ///< their pools have the same options and datasets; the number of workers may differ
  double timeout_seconds = 60;  ///< how long they wait for local rank 0 to start
};

struct PoolOptions {
  int workers = 2;              ///< processes, 0 to ChunkWord::max_workers; 0: samples are read by whoever calls next()
  int batch_size = 128;         ///< samples a batch, at least 1
  int prefetch = 4;             ///< batches prepared ahead, at least 1; see arena_shape()
  double timeout_seconds = 60;  ///< what one sample may take, over 0; unused without workers
  OnWorkerError on_worker_error = OnWorkerError::stop;
  SampleCache cache = SampleCache::none;
  std::string cache_name;                 ///< of the cache in shared memory (sample_cache.h); empty: none
  Sampling sampling = Sampling::uniform;  ///< of train, where a loader shuffles it
  std::uint64_t seed = 0;                 ///< of the order and of the transforms
  std::string directory = "/dev/shm";     ///< a tmpfs for the shared memory; without workers of the cache only
  LocalRanks local_ranks{};
};

}  // namespace trainyard
