/// Iterates over the batches of one split, in each epoch exactly once, in an order determined by (seed, epoch).
///
///     DataLoader train(pool, Split::train, {.shuffle = true});
///     train.start_epoch(epoch);
///     while (std::optional<Batch> batch = train.next()) step(*batch);
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "loader/batch_range.h"
#include "loader/epoch_stats.h"
#include "loader/sample_order.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// A field of a batch, in shared memory.
struct BatchField {
  const Field* field = nullptr;
  /// The elements of all samples, contiguous, or laid out by Dataset::collate() if they vary in length. Page-aligned.
  std::span<const std::byte> elements;
  // Only for a variable-length field, otherwise empty:
  std::span<const std::int64_t> rows;    ///< number of rows of field->row_bytes() of each sample
  std::span<const std::int64_t> begins;  ///< the first row of each sample, then the total number of rows

  /// The elements as values of type T. REQUIRES that T is the field's type.
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(elements.data()), elements.size() / sizeof(T)};
  }
};

/// Samples in shared memory, valid until release() or destruction; copies to a GPU must have finished by then. Movable;
/// must not outlive the pool.
class Batch {
 public:
  Batch(std::uint64_t epoch, std::uint64_t number, const BatchRequest& request, const SampleOrder& order,
        std::vector<BatchField> fields, TakenBatch taken)
      : epoch_(epoch),
        number_(number),
        request_(request),
        order_(order),
        fields_(std::move(fields)),
        taken_(std::move(taken)) {}

  std::uint64_t epoch() const { return epoch_; }
  /// Its position in the epoch, from 0.
  std::uint64_t number() const { return number_; }
  /// Number of samples: the batch size, or fewer in the last batch of an epoch or if samples were skipped
  /// (OnWorkerError::skip).
  std::size_t count() const { return taken_.kept.empty() ? request_.count : taken_.kept.size(); }
  /// In the dataset's order, count() samples each. Empty after release().
  const std::vector<BatchField>& fields() const { return fields_; }
  /// The field with that name. Throws RunError that lists the fields if there is none.
  const BatchField& field(std::string_view name) const;
  /// The dataset's index of sample `i` of this batch.
  std::uint64_t sample_index(std::size_t i) const {
    const std::uint64_t place = taken_.kept.empty() ? i : taken_.kept[i];
    return order_(request_.first + place * request_.stride);
  }

  /// The positions, within the requested batch, of the samples it contains; empty: all.
  const std::vector<std::uint32_t>& kept() const { return taken_.kept; }

  /// Returns the memory to the workers before this object is destroyed.
  void release() {
    fields_.clear();
    taken_.lease.release();
  }

 private:
  std::uint64_t epoch_;
  std::uint64_t number_;
  BatchRequest request_;
  SampleOrder order_;
  std::vector<BatchField> fields_;
  TakenBatch taken_;
};

struct DataLoaderOptions {
  bool shuffle = false;    ///< new order per epoch, for train by PoolOptions::sampling; else the dataset's
  bool drop_last = false;  ///< leave out the last batch if it would be smaller
  int rank = 0;            ///< of this process, among the `world_size` that share the order and its batches
  int world_size = 1;
  /// Samples per batch over all ranks; 0: each rank's part has PoolOptions::batch_size.
  std::int64_t batch_size = 0;
  std::uint64_t max_batches = std::numeric_limits<std::uint64_t>::max();  ///< of an epoch: only the first ones
  bool repeat = false;      ///< every epoch has the samples of epoch 0 again, and their augmentation
  bool unmirrored = false;  ///< skip the final random_horizontal_flip (SplitInfo::mirror)
};

/// Iterates over a split of a pool. Several loaders may share a pool: the loader whose next batch is requested gets the
/// workers; batches prepared for another loader are discarded and prepared again when that loader is next used. Not
/// thread-safe; must not outlive the pool.
///
/// With world_size n, rank r gets the samples r, r + n, r + 2n, ... of each batch, so the ranks together process the
/// batches of a single process. All ranks have the same number of batches; on higher ranks a part may be one sample
/// smaller, or empty.
class DataLoader {
 public:
  /// REQUIRES that a rank's part of a batch is at most PoolOptions::batch_size.
  DataLoader(WorkerPool& pool, Split split, const DataLoaderOptions& options = {});
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  /// Starts `epoch` at batch `first_batch`, in O(1), and lets the workers start. Drops what was left of another epoch.
  /// REQUIRES first_batch <= batches(). Throws like next().
  void start_epoch(std::uint64_t epoch, std::uint64_t first_batch = 0);
  /// The same for any batches, e.g. the end of an epoch and the beginning of the next one.
  void start(const BatchRange& range);
  /// All batches of `epoch`.
  BatchRange range_of(std::uint64_t epoch) const { return {epoch * batches_, (epoch + 1) * batches_}; }

  /// From now on, once the last batch that was started has been requested, the workers continue with the batches
  /// `range` of `other`, which may be this loader. They start without a pause if they are the next to be started;
  /// otherwise what was prepared is discarded. If `other` is null, nothing follows. `other` must live as long as this
  /// loader.
  void follow_with(DataLoader* other, const BatchRange& range);

  /// Returns the next batch, or nothing at the end of those started; without a start, those of epoch 0. Waits as long
  /// as it takes. Throws RunError in the cases listed at WorkerPool, and if the caller holds so many batches that no
  /// slot is left for another.
  std::optional<Batch> next();

  /// Batches per epoch.
  std::uint64_t batches() const { return batches_; }
  /// Number of samples of an epoch over all ranks.
  std::uint64_t samples() const { return std::min(batches_ * batch_size_, split().size); }
  /// The same of one of its batches. REQUIRES batch < batches().
  std::uint64_t samples_of(std::uint64_t batch) const;
  /// The dataset's indices of the samples of `batch` of `epoch`. REQUIRES batch < batches().
  std::vector<std::uint64_t> sample_indices(std::uint64_t epoch, std::uint64_t batch) const;
  /// The same for the samples of all ranks.
  std::vector<std::uint64_t> indices_of_batch(std::uint64_t epoch, std::uint64_t batch) const;
  /// For each of them, what its random numbers depend on (SampleOrder::random_key).
  std::vector<std::uint64_t> random_keys(std::uint64_t epoch, std::uint64_t batch) const;
  /// The batch that next() returns, counted as in BatchRange: the whole state, from which start() resumes here with any
  /// number of workers.
  std::uint64_t next_batch() const { return next_; }
  const SplitInfo& split() const { return pool_.splits().at(split_); }
  /// Time spent in next() since the start.
  double waited_seconds() const { return meter_.waited_seconds(); }
  /// Since the start.
  EpochStats stats() const { return meter_.stats(pool_); }

 private:
  // The first batches of a range that has not been started, published to the pool after the last one of those started.
  struct Ahead {
    BatchRange range;
    std::uint64_t published = 0;  ///< as published_
    std::uint64_t ticket = 0;     ///< the pool's number of the first; 0: none
  };

  SampleOrder order(std::uint64_t epoch) const;
  BatchRequest request(std::uint64_t epoch, std::uint64_t number) const;
  std::vector<BatchField> fields_in(std::uint32_t slot, std::size_t count) const;
  void publish_ahead();
  void prepare(const BatchRange& range);

  WorkerPool& pool_;
  std::uint64_t id_;
  std::uint32_t split_;
  DataLoaderOptions options_;
  std::uint64_t batch_size_;  ///< over all ranks
  std::uint64_t batches_ = 0;
  // Counted as in BatchRange:
  std::uint64_t next_ = 0;       ///< the batch that next() returns
  std::uint64_t end_ = 0;        ///< the first batch that was not started
  std::uint64_t published_ = 0;  ///< earlier batches have been published to the workers
  EpochMeter meter_;
  DataLoader* follower_ = nullptr;
  BatchRange follower_range_;
  Ahead ahead_;
};

}  // namespace trainyard
