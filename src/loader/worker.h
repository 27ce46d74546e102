/// What a worker does: claim a chunk, read and transform its samples straight into the slot, hand it in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "datasets/dataset.h"
#include "loader/pool_options.h"
#include "loader/tickets.h"
#include "transforms/pipeline.h"

namespace trainyard {

/// A dataset ready to be read, with the transforms of its samples (none by default).
struct LoadedSplit {
  std::unique_ptr<Dataset> dataset;
  TransformPipeline transforms;
  bool from_train = false;  ///< as in SplitDataset

  /// What read() writes.
  const SampleSpec& spec() const { return transforms.spec(*dataset); }
  /// Sample `index`, transformed; returns its label. As TransformPipeline::read.
  std::int64_t read(std::size_t index, std::uint64_t seed, std::uint64_t epoch, std::span<std::byte> out,
                    bool unmirrored = false) const {
    return transforms.read(*dataset, index, seed, epoch, out, unmirrored);
  }
};

/// Builds all splits there are; the place in the vector is the split's number (static_cast of Split), so that test, the
/// last, may be missing. Throws any Error.
using DatasetFactory = std::function<std::vector<LoadedSplit>()>;

/// Fills chunks, as one of the arena's workers. For one thread; what it is given must outlive it.
class Worker {
 public:
  /// `number`: this worker's, from 0.
  Worker(const Arena& arena, std::span<const LoadedSplit> splits, const PoolOptions& options, std::uint32_t number);

  /// Claims one chunk and fills it, errors of the dataset or a transform included: a sample that the options do not let
  /// be left out makes the chunk a failed one, with its ChunkError. Returns false when there was nothing to do;
  /// `settled_batch`, which may be null, becomes true when this settled a batch.
  bool fill_one_chunk(bool* settled_batch = nullptr);

 private:
  bool is_new(const Claim& claim);

  const Arena& arena_;
  std::span<const LoadedSplit> splits_;
  const PoolOptions& options_;
  std::uint32_t number_;
  std::vector<bool> mapped_;  ///< the chunks whose pages have been mapped, slot by slot
};

/// Notes why `sample` failed, in a chunk that the caller owns.
void note_error(ChunkError& error, std::uint64_t sample, std::string_view text);

/// A worker process's whole life: fills chunks until `parent` is gone, and writes to the eventfd `ready_fd` whenever it
/// has settled a batch.
[[noreturn]] void run_worker(const Arena& arena, std::span<const LoadedSplit> splits, const PoolOptions& options,
                             std::uint32_t number, pid_t parent, int ready_fd) noexcept;

/// CLOCK_MONOTONIC in nanoseconds. The coarse one, good to a few milliseconds, costs a fifth.
std::int64_t monotonic_ns();
std::int64_t coarse_monotonic_ns();

}  // namespace trainyard
