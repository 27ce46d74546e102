/// The workers as the trainer sees them: batches are asked for with publish() and come back, in that order, by take().
/// DataLoader is what a training loop uses.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "loader/recovery.h"
#include "loader/worker.h"
#include "loader/zygote.h"

namespace trainyard {

class WorkerPool;

/// The right to read one slot; the slot goes back to the workers when it is destroyed. Movable. The pool must outlive
/// it.
class SlotLease {
 public:
  SlotLease(WorkerPool& pool, std::uint32_t slot) : pool_(&pool), slot_(slot) {}
  SlotLease(SlotLease&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), slot_(other.slot_) {}
  SlotLease& operator=(SlotLease&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~SlotLease() { release(); }

  void release() noexcept;
  std::uint32_t slot() const { return slot_; }

 private:
  WorkerPool* pool_;
  std::uint32_t slot_;
};

/// A batch that take() waited for.
struct TakenBatch {
  SlotLease lease;
  /// The places, in the request, of the samples that lie in the slot one behind the other; empty when all are there.
  std::vector<std::uint32_t> kept;
};

struct WorkerStatus {
  pid_t pid = 0;              ///< 0: it is still to be forked
  std::uint64_t samples = 0;  ///< read so far
  double busy_seconds = 0;    ///< spent on them
};

/// One pool serves all loaders of a run, one at a time. For one thread only.
///
/// What happens when a worker dies or hangs, or `read` throws, is options().on_worker_error:
/// - stop: the call that notices a lost worker throws a RunError which names the cause, the worker and the sample, and
///   so does every later one: the run is over. A sample whose `read` throws ends take() with a RunError at that
///   sample's place in the order, the same for any number of workers; the pool stays usable.
/// - retry: workers are replaced, and a sample is tried `max_tries` times before either of these errors.
/// - skip: after that many tries the sample is left out, counted, and named in the log. Its batch has one sample fewer;
///   no other sample moves to another batch, so which samples a batch has depends on nothing but which cannot be read.
///   A batch of which nothing is left is an error as under stop: then it is not single samples that are bad.
/// The end of the zygote always ends the run.
class WorkerPool {
 public:
  /// With workers, forks: see Zygote for what that REQUIRES. Throws what `factory` throws, MachineError where the
  /// shared memory is too small for two batches. Warns, once it is found out, where it is smaller than `prefetch` asks
  /// for.
  WorkerPool(const PoolOptions& options, const DatasetFactory& factory);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  const PoolOptions& options() const { return options_; }
  /// In the factory's order.
  const std::vector<SplitInfo>& splits() const { return splits_; }
  const Arena& arena() const { return *arena_; }
  /// The arena's memory, all of it that there will ever be: what a trainer registers with its GPU. Waits until the last
  /// slot is reserved.
  std::span<std::byte> memory();
  /// -1 without workers.
  pid_t zygote_pid() const { return zygote_ ? zygote_->pid() : -1; }
  /// One entry a worker; without workers one for this process.
  std::vector<WorkerStatus> status() const;
  FaultCounts faults() const;

  // What DataLoader is made of.

  /// A number to know a loader by.
  std::uint64_t new_loader() { return ++loaders_; }
  bool is_serving(std::uint64_t loader) const { return serving_ == loader; }
  /// Takes back what was published and not taken, waits for what was begun, and is `loader`'s from here on.
  void serve(std::uint64_t loader);
  /// Is `loader`'s from here on, without taking anything back, if the earliest published batch has the number `ticket`;
  /// false if it has not.
  bool go_on_with(std::uint64_t ticket, std::uint64_t loader);
  /// Whether the batch of this number is published and not taken.
  bool has(std::uint64_t ticket) const;
  /// Whether there is a slot for another batch and it would not be too far ahead. Where nothing is
  /// published and no slot free, it waits for one that is still to be reserved.
  bool can_publish();
  /// Returns the batch's number, which no other gets, from 1 on.
  std::uint64_t publish(const BatchRequest& request);
  /// Waits for the earliest published batch. REQUIRES that one is published.
  TakenBatch take();
  bool has_published() const { return !published_.empty(); }

 private:
  friend SlotLease;

  void ask_for_slots();
  void take_over_slots();
  bool wait_for_slot();
  void wait_until_settled(std::span<const PublishedBatch> batches);
  void hear_of_deaths();
  template <typename Wait>
  void remembering_faults(Wait wait);
  void throw_if_failed(const PublishedBatch& batch) const;
  std::vector<std::uint32_t> close_gaps(const PublishedBatch& batch);
  void close_gaps_of_rows(std::uint32_t slot, std::size_t field, std::size_t row_bytes,
                          std::span<const std::uint32_t> kept);

  PoolOptions options_;
  std::optional<Zygote> zygote_;
  std::optional<Recovery> recovery_;
  // Without workers, what the zygote would have.
  std::vector<LoadedSplit> own_splits_;
  std::optional<Arena> own_arena_;
  std::optional<Worker> own_worker_;

  const Arena* arena_ = nullptr;
  std::vector<SplitInfo> splits_;
  std::vector<PublishedBatch> published_;  ///< in order, few; their slots are the workers'
  std::uint32_t slots_ = 0;                ///< usable, as far as has been noticed
  std::vector<std::uint32_t> free_;        ///< slots that are nobody's; the rest is leased
  std::uint64_t loaders_ = 0;
  std::uint64_t serving_ = 0;  ///< 0: no loader
  std::uint64_t skipped_ = 0;
  bool asked_for_slots_ = false;
  bool warned_of_room_ = false;
  std::string fault_;  ///< why the workers are of no use any more
};

}  // namespace trainyard
