/// Batches of one split, in the order that (seed, epoch) fixes, each exactly once.
///
///     DataLoader train(pool, Split::train, {.shuffle = true});
///     train.start_epoch(epoch);
///     while (std::optional<Batch> batch = train.next()) step(*batch);
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "loader/epoch_stats.h"
#include "loader/sample_order.h"
#include "loader/worker_pool.h"

namespace trainyard {

/// A field of a batch, in shared memory.
struct BatchField {
  const Field* field = nullptr;
  /// The samples' elements, one sample behind the other, or as Dataset::collate() has laid them out if they vary;
  /// begins at a page.
  std::span<const std::byte> elements;
  // Of a field that varies, else empty:
  std::span<const std::int64_t> rows;    ///< how many rows of field->row_bytes() each sample has
  std::span<const std::int64_t> begins;  ///< the row in which each sample begins, and last the number of all rows

  /// The elements as numbers. REQUIRES that T is the field's type.
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(elements.data()), elements.size() / sizeof(T)};
  }
};

/// Samples in shared memory, valid until release() or destruction: a copy to a GPU must have ended before. Movable;
/// must not outlive the pool.
class Batch {
 public:
  Batch(std::uint64_t number, const BatchRequest& request, const SampleOrder& order, std::vector<BatchField> fields,
        TakenBatch taken)
      : number_(number), request_(request), order_(order), fields_(std::move(fields)), taken_(std::move(taken)) {}

  /// Its place in the epoch, from 0.
  std::uint64_t number() const { return number_; }
  /// Samples in it: the batch size, or fewer in an epoch's last batch and where samples were left out
  /// (OnWorkerError::skip).
  std::size_t count() const { return taken_.kept.empty() ? request_.count : taken_.kept.size(); }
  /// In the dataset's order; count() samples each. Empty after release().
  const std::vector<BatchField>& fields() const { return fields_; }
  /// The field of that name. Throws RunError that lists the fields if there is none.
  const BatchField& field(std::string_view name) const;
  /// The number, in the dataset, of sample `i` of this batch.
  std::uint64_t sample_index(std::size_t i) const {
    const std::uint64_t place = taken_.kept.empty() ? i : taken_.kept[i];
    return order_(request_.first + place * request_.stride);
  }

  /// The places, in the batch as it was asked for, of the samples that are in it; empty: all are.
  const std::vector<std::uint32_t>& kept() const { return taken_.kept; }

  /// Gives the memory back to the workers before the end of this object's life.
  void release() {
    fields_.clear();
    taken_.lease.release();
  }

 private:
  std::uint64_t number_;
  BatchRequest request_;
  SampleOrder order_;
  std::vector<BatchField> fields_;
  TakenBatch taken_;
};

struct DataLoaderOptions {
  bool shuffle = false;    ///< a new order each epoch, of train as PoolOptions::sampling says; else the dataset's own
  bool drop_last = false;  ///< leave out the last batch where it would be smaller
  int rank = 0;            ///< this process's place among `world_size` that share one order and its batches
  int world_size = 1;
  /// Samples of a batch of all ranks together; 0: as many as fill each rank's part, PoolOptions::batch_size.
  std::int64_t batch_size = 0;
  bool unmirrored = false;  ///< without the transforms' last random_horizontal_flip (SplitInfo::mirror)
};

/// Iterates over a split of a pool. Several loaders may use one pool: whoever is asked for a batch gets the workers,
/// and what they had prepared for another loader is taken back and prepared again when that one is asked next. For one
/// thread; must not outlive the pool.
///
/// With world_size n, rank r gets the samples r, r + n, r + 2n, ... of each batch: together the ranks have the batches
/// of a single process. All ranks count the same batches; a part may be smaller by a sample, or empty, on the higher
/// ranks.
class DataLoader {
 public:
  /// REQUIRES that a rank's part of a batch is at most PoolOptions::batch_size.
  DataLoader(WorkerPool& pool, Split split, const DataLoaderOptions& options = {});
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  /// Begins `epoch` at batch `first_batch`, in O(1), and lets the workers begin. What was left of another epoch is
  /// dropped. REQUIRES first_batch <= batches(). Throws as next() does.
  void start_epoch(std::uint64_t epoch, std::uint64_t first_batch = 0);

  /// From now on, once the last batch of an epoch of this loader has been asked for, the workers go on with `epoch` of
  /// `other`, which may be this one: it begins without a pause if it is the next to be started, and is given up if it
  /// is not. Nothing follows where `other` is null. `other` must live as long as this loader.
  void follow_with(DataLoader* other, std::uint64_t epoch);

  /// The next batch, or nothing after the epoch's last. Waits for it as long as it takes. Throws RunError for what
  /// WorkerPool lists, and where the caller still holds so many batches that there is no slot for another.
  std::optional<Batch> next();

  /// Batches of an epoch.
  std::uint64_t batches() const { return batches_; }
  /// Samples of a batch, of all ranks together. REQUIRES batch < batches().
  std::uint64_t samples_of(std::uint64_t batch) const;
  /// The numbers, in the dataset, of the samples of `batch` of `epoch`. REQUIRES batch < batches().
  std::vector<std::uint64_t> sample_indices(std::uint64_t epoch, std::uint64_t batch) const;
  /// The same of all ranks' samples.
  std::vector<std::uint64_t> indices_of_batch(std::uint64_t epoch, std::uint64_t batch) const;
  /// What the random numbers of each of them depend on (SampleOrder::random_key).
  std::vector<std::uint64_t> random_keys(std::uint64_t epoch, std::uint64_t batch) const;
  /// With epoch() the whole state: start_epoch(epoch(), next_batch()) goes on from here, with any number of workers.
  std::uint64_t next_batch() const { return next_; }
  std::uint64_t epoch() const { return epoch_; }
  const SplitInfo& split() const { return pool_.splits().at(split_); }
  /// Time the caller has spent in next() since start_epoch.
  double waited_seconds() const { return meter_.waited_seconds(); }
  /// Of the epoch so far.
  EpochStats stats() const { return meter_.stats(pool_); }

 private:
  // The first batches of an epoch that is not yet started, in the pool behind another one's last.
  struct Ahead {
    std::uint64_t epoch = 0;
    std::uint64_t published = 0;
    std::uint64_t ticket = 0;  ///< the pool's number of the first; 0: there is none
  };

  SampleOrder order(std::uint64_t epoch) const;
  BatchRequest request(std::uint64_t epoch, std::uint64_t number) const;
  std::vector<BatchField> fields_in(std::uint32_t slot, std::size_t count) const;
  void publish_ahead();
  void prepare(std::uint64_t epoch);

  WorkerPool& pool_;
  std::uint64_t id_;
  std::uint32_t split_;
  DataLoaderOptions options_;
  std::uint64_t batch_size_;  ///< of all ranks
  std::uint64_t batches_ = 0;
  std::uint64_t epoch_ = 0;
  std::uint64_t next_ = 0;       ///< the batch that next() returns
  std::uint64_t published_ = 0;  ///< the workers know of the batches before this one
  EpochMeter meter_;
  DataLoader* follower_ = nullptr;
  std::uint64_t follower_epoch_ = 0;
  Ahead ahead_;
};

}  // namespace trainyard
