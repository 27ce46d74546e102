/// Runs a worker: claims a chunk, reads and transforms its samples directly into the slot, hands it in.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "loader/pool_options.h"
#include "loader/split.h"
#include "loader/tickets.h"

namespace trainyard {

/// Fills chunks, as one of the arena's workers. Not thread-safe; the arguments of the constructor must outlive it.
class Worker {
 public:
  /// `number`: of this worker, from 0.
  Worker(const Arena& arena, std::span<const LoadedSplit> splits, const PoolOptions& options, std::uint32_t number);

  /// Claims one chunk and fills it. Catches errors of the dataset and the transforms: a sample that fails and that the
  /// options do not allow to skip makes the chunk a failed one, with its ChunkError. Returns false if there was nothing
  /// to do. `settled_batch`, which may be null, is set to true if this settled a batch.
  bool fill_one_chunk(bool* settled_batch = nullptr);

 private:
  bool is_new(const Claim& claim);

  const Arena& arena_;
  std::span<const LoadedSplit> splits_;
  const PoolOptions& options_;
  std::uint32_t number_;
  std::vector<bool> mapped_;  ///< the chunks whose pages have been mapped, by slot
};

/// Records why `sample` failed, in a chunk that the caller owns.
void note_error(ChunkError& error, std::uint64_t sample, std::string_view text);

/// The main function of a worker process: fills chunks until `parent` is gone, and writes to the eventfd `ready_fd`
/// whenever it has settled a batch.
[[noreturn]] void run_worker(const Arena& arena, std::span<const LoadedSplit> splits, const PoolOptions& options,
                             std::uint32_t number, pid_t parent, int ready_fd) noexcept;

}  // namespace trainyard
