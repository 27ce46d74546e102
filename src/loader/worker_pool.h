/// The workers as seen by the trainer: publish() requests batches, and take() returns them in the same order. A
/// training loop uses DataLoader instead.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "loader/recovery.h"
#include "loader/skipped_samples.h"
#include "loader/worker.h"
#include "loader/zygote.h"

namespace trainyard {

class WorkerPool;

/// The right to read one slot; its destructor returns the slot to the workers. Movable. The pool must outlive it.
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

/// A batch that take() has waited for.
struct TakenBatch {
  SlotLease lease;
  /// The positions, within the request, of the samples in the slot, which are contiguous; empty if all are present.
  std::vector<std::uint32_t> kept;
};

struct WorkerStatus {
  pid_t pid = 0;              ///< 0: not forked yet
  std::uint64_t samples = 0;  ///< read so far
  double busy_seconds = 0;    ///< spent reading them
};

/// One pool serves all loaders of a run, one at a time. Not thread-safe.
///
/// options().on_worker_error decides what happens if a worker dies or hangs, or if `read` throws:
/// - stop: the call that detects a lost worker throws a RunError that names the cause, the worker and the sample, and
///   so does every later call: the run is over. If `read` throws for a sample, take() throws a RunError at that
///   sample's position in the order, the same for any number of workers; the pool stays usable.
/// - retry: workers are replaced, and a sample is tried `max_tries` times before either of these errors.
/// - skip: after that many attempts the sample is skipped, counted, and the first time named in the log. Its batch has
///   one sample fewer; no other sample moves to another batch, so the samples of a batch depend only on which ones are
///   unreadable.
///   A batch without any readable sample is an error as under stop, because the cause is then not a few bad samples.
/// The end of the zygote always ends the run.
class WorkerPool {
 public:
  /// Forks if there are workers: see Zygote for what that REQUIRES. Throws what `factory` throws, and MachineError if
  /// the shared memory is too small for two batches. Warns once, when it is detected, if it is too small for
  /// `prefetch`.
  WorkerPool(const PoolOptions& options, const DatasetFactory& factory);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  const PoolOptions& options() const { return options_; }
  /// In the factory's order.
  const std::vector<SplitInfo>& splits() const { return splits_; }
  const Arena& arena() const { return *arena_; }
  /// The arena's memory at its final size, which a trainer registers with its GPU. Waits until the last slot is
  /// reserved.
  std::span<std::byte> memory();
  /// -1 without workers.
  pid_t zygote_pid() const { return zygote_ ? zygote_->pid() : -1; }
  /// One entry per worker; without workers one for this process.
  std::vector<WorkerStatus> status() const;
  FaultCounts faults() const;

  // The interface for DataLoader.

  /// A unique number that identifies a loader.
  std::uint64_t new_loader() { return ++loaders_; }
  bool is_serving(std::uint64_t loader) const { return serving_ == loader; }
  /// Takes back what was published but not taken, waits for claimed chunks, and serves `loader` from now on.
  void serve(std::uint64_t loader);
  /// Serves `loader` from now on, without taking anything back, if the earliest published batch has the number
  /// `ticket`; otherwise returns false.
  bool try_switch_to(std::uint64_t ticket, std::uint64_t loader);
  /// Whether the batch with this number is published and not taken.
  bool has(std::uint64_t ticket) const;
  /// Whether there is a slot for another batch that would not be too far ahead. If nothing is published and no slot is
  /// free, waits for one that is still to be reserved.
  bool can_publish();
  /// Returns the batch's number, which is unique, from 1.
  std::uint64_t publish(const BatchRequest& request);
  /// Waits for the earliest published batch. REQUIRES that one is published.
  TakenBatch take();
  bool has_published() const { return !published_.empty(); }

 private:
  friend SlotLease;

  void request_slots();
  void add_reserved_slots();
  bool wait_for_slot();
  void wait_until_settled(std::span<const PublishedBatch> batches);
  void handle_worker_exits();
  template <typename Wait>
  void record_fault_on_throw(Wait wait);
  void throw_if_failed(const PublishedBatch& batch) const;
  std::vector<std::uint32_t> close_gaps(const PublishedBatch& batch);
  [[noreturn]] void throw_none_left(const PublishedBatch& batch) const;
  void report_skipped(const PublishedBatch& batch, std::span<const std::uint32_t> places);
  void close_gaps_of_rows(std::uint32_t slot, std::size_t field, std::size_t row_bytes,
                          std::span<const std::uint32_t> kept);

  PoolOptions options_;
  SkippedSamples skipped_samples_;
  std::optional<Zygote> zygote_;
  std::optional<Recovery> recovery_;
  // Without workers, what the zygote would own.
  std::vector<LoadedSplit> own_splits_;
  std::optional<Arena> own_arena_;
  std::optional<Worker> own_worker_;

  const Arena* arena_ = nullptr;
  std::vector<SplitInfo> splits_;
  std::vector<PublishedBatch> published_;  ///< in order; the workers own their slots
  std::uint32_t slots_ = 0;                ///< usable slots, as far as has been noticed
  std::vector<std::uint32_t> free_;        ///< slots owned by nobody; the rest are leased
  std::uint64_t loaders_ = 0;
  std::uint64_t serving_ = 0;  ///< 0: no loader
  std::uint64_t skipped_ = 0;
  bool asked_for_slots_ = false;
  bool warned_of_room_ = false;
  std::string fault_;  ///< why the workers can no longer be used
};

}  // namespace trainyard
