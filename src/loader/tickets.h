/// The protocol by which the trainer hands out work and the workers hand in samples. It uses no locks: a process that
/// dies, at whatever instruction, leaves a state from which the others can tell what happened.
///
/// Each batch has a number, which only grows, and occupies a slot. It is split into chunks; each chunk has one 64-bit
/// word
///
///     { batch number : 48 | worker : 14 | state : 2 }      free → claimed(worker) → done(worker) or failed(worker)
///
/// and only that word decides:
/// - The trainer owns a slot while none of its words is free or claimed. Only then does it write the request and, last,
///   the words: free, with the new batch's number.
/// - A worker owns a chunk from its compare-and-swap free → claimed onwards. The word carries the batch number, so a
///   worker that read the slot earlier, for a previous batch, cannot claim it. One instruction both claims the chunk
///   and records its owner, so a dead worker's chunk can always be attributed to it.
/// - A batch is ready when all its words are done or failed. There is no counter that a death could make wrong.
/// - The chunk of a dead worker becomes free again, with the same batch number. Only the trainer frees it, and only
///   after the worker has been waited for: nothing is taken from a process that may merely be slow or stopped, so
///   there are no late writes.
/// - `hint`, `oldest` and the queue only save time: before a worker sleeps, it has checked every word of every
///   published batch, whatever the hints say.
///
/// No wake-up is lost. Worker: read `work`, look for work, sleep unless `work` changed. Trainer: write the words,
/// change `work`, wake all. If the worker looked too early, `work` changes after it was read and the kernel refuses the
/// sleep. In the other direction: settle() and is_settled() are sequentially consistent, so if two workers finish the
/// last two chunks at the same time, at least one of them sees that the batch is ready, and notifies the trainer
/// through an eventfd, which stays readable until it is read.
#pragma once

#include <cstdint>
#include <optional>

#include "loader/arena.h"

namespace trainyard {

enum class ChunkState : std::uint8_t { free, claimed, done, failed };

struct ChunkWord {
  std::uint64_t batch;
  std::uint32_t worker;
  ChunkState state;

  std::uint64_t pack() const { return batch << 16 | std::uint64_t{worker} << 2 | static_cast<std::uint64_t>(state); }
  static ChunkWord unpack(std::uint64_t word) {
    return {word >> 16, static_cast<std::uint32_t>(word >> 2 & max_workers), static_cast<ChunkState>(word & 3)};
  }
  static constexpr std::uint32_t max_workers = (1u << 14) - 1;
};

/// A batch known to the workers.
struct PublishedBatch {
  std::uint64_t batch;
  std::uint32_t slot;
  bool cancelled = false;
};

/// A chunk that a worker owns.
struct Claim {
  std::uint64_t batch;
  std::uint32_t slot;
  std::uint32_t chunk;
};

/// A view of an arena's tickets; the arena must outlive it. For one trainer thread and any number of workers.
class Tickets {
 public:
  explicit Tickets(const Arena& arena) : arena_(&arena) {}

  // The trainer's side.

  /// Puts `request` into `slot` and wakes the workers; returns the batch's number. REQUIRES that the trainer owns the
  /// slot, and that the batches from the oldest unsettled one to this one fit into the queue: at most shape().slots.
  std::uint64_t publish(std::uint32_t slot, const BatchRequest& request);
  /// Takes back the chunks that no worker has claimed; the batch is settled as soon as the claimed ones are.
  void cancel(std::uint64_t batch, std::uint32_t slot);
  /// The chunk of the batch that `worker` owns, if any.
  std::optional<Claim> claim_of(std::uint32_t worker, const PublishedBatch& batch) const;
  /// Takes a dead worker's chunk back: it becomes `free` for other workers, or `done` if it is no longer needed.
  /// REQUIRES that the worker has been waited for.
  void take_back(const Claim& claim, ChunkState state);
  /// Announces to the workers that no batch before `batch` needs work.
  void set_oldest(std::uint64_t batch);
  /// Whether no worker will access the batch any more.
  bool is_settled(std::uint64_t batch, std::uint32_t slot) const;
  /// The first chunk of a settled batch that failed.
  std::optional<std::uint32_t> failed_chunk(std::uint32_t slot) const;

  // A worker's side.

  /// Claims a chunk of the earliest batch that has a free one.
  std::optional<Claim> claim(std::uint32_t worker);
  /// Hands in the chunk as `done` or `failed`; returns true if this settled the whole batch.
  bool settle(const Claim& claim, std::uint32_t worker, ChunkState state);
  /// Call before looking for work, and pass the result to wait_for_work() if there was none.
  std::uint32_t work_seen() const;
  /// Sleeps until there is new work since `seen`, or `seconds` have passed.
  void wait_for_work(std::uint32_t seen, int seconds) const;

 private:
  void wake_workers();
  std::optional<Claim> claim_in(std::uint64_t batch, std::uint32_t slot, std::uint32_t first_chunk,
                                std::uint32_t worker);

  const Arena* arena_;
};

}  // namespace trainyard
