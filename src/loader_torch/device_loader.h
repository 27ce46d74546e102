/// Delivers batches on the training device: the last stage of the loader.
#pragma once

#include <deque>
#include <future>
#include <optional>

#include "loader/data_loader.h"
#include "loader_torch/device_batch.h"
#include "loader_torch/image_decoder.h"
#include "loader_torch/resident_split.h"
#include "util/torch.h"

namespace trainyard {

/// Delivers the batches of one split on `device`: those that a DataLoader with the same options delivers, in that
/// order. On a GPU, batches are copied from the arena's registered memory on a separate stream while the previous step
/// computes; a slot is returned to the workers once its copy is done. Images that workers leave to the GPU are
/// decoded there, on the same stream. On the CPU images alias the slot. Not thread-safe; the pool must outlive it and
/// its batches.
class DeviceLoader {
 public:
  /// Throws MachineError for a split with images for the GPU if `device` is the CPU, or like ImageDecoder.
  DeviceLoader(WorkerPool& pool, Split split, const DataLoaderOptions& options, at::Device device);
  ~DeviceLoader();
  DeviceLoader(const DeviceLoader&) = delete;
  DeviceLoader& operator=(const DeviceLoader&) = delete;

  /// Reads the whole split onto the device, or spreads it over the GPUs of `group`. From then on batches are gathered
  /// there, bit-identical, and the workers have nothing to do. Stops early and throws like ResidentSplit. REQUIRES a
  /// pool with SampleCache::gpu, which has checked the transforms.
  void keep_on_device(const HostGroup& group = {}, StopToken stop = {});

  /// Starts `epoch` at batch `first_batch`, or any batches. Drops what was left of those started before.
  void start_epoch(std::uint64_t epoch, std::int64_t first_batch = 0);
  void start(const BatchRange& range);
  /// All batches of `epoch`.
  BatchRange range_of(std::uint64_t epoch) const { return loader_.range_of(epoch); }
  /// What the workers continue with after the last batch, like DataLoader::follow_with.
  void follow_with(DeviceLoader* other, const BatchRange& range);
  /// Returns the next batch, or nothing at the end of those started. Throws like DataLoader::next. If the split is kept
  /// on the device, the first batch of an epoch takes time proportional to the epoch's samples.
  std::optional<DeviceBatch> next();

  at::Device device() const { return device_; }
  const SplitInfo& split() const { return loader_.split(); }
  /// Batches per epoch.
  std::int64_t batches() const { return static_cast<std::int64_t>(loader_.batches()); }
  /// Samples over all ranks, of an epoch or of one of its batches.
  std::uint64_t samples() const { return loader_.samples(); }
  std::int64_t samples_of(std::int64_t batch) const {
    return static_cast<std::int64_t>(loader_.samples_of(static_cast<std::uint64_t>(batch)));
  }
  /// The dataset's indices of the samples of `batch` of `epoch`.
  std::vector<std::uint64_t> sample_indices(std::uint64_t epoch, std::int64_t batch) const {
    return loader_.sample_indices(epoch, static_cast<std::uint64_t>(batch));
  }
  /// The same for the samples of all ranks.
  std::vector<std::uint64_t> indices_of_batch(std::uint64_t epoch, std::int64_t batch) const {
    return loader_.indices_of_batch(epoch, static_cast<std::uint64_t>(batch));
  }
  /// The same for the samples that `batch` contains: batch.count indices.
  std::vector<std::uint64_t> sample_indices(const DeviceBatch& batch) const;
  /// Since the start: the time spent waiting for batches, and all measurements.
  double waited_seconds() const { return measures() ? meter_.waited_seconds() : loader_.waited_seconds(); }
  EpochStats stats() const { return measures() ? meter_.stats(pool_) : loader_.stats(); }

 private:
  struct Copy {
    Batch batch;
    c10::Event done;
  };
  struct CopiedBatch {
    DeviceBatch on_device;
    Copy copy;
  };

  // Whether next() waits for more than the workers, for the GPU, too.
  bool measures() const { return resident_ || decoder_; }
  DeviceBatch gather();
  DeviceBatch load();
  DeviceBatch read_in_place(Batch batch) const;
  Batch take();
  void start_decoding();
  void drop_decoding();
  CopiedBatch copy_to_gpu(Batch batch);
  DeviceBatch hand_over(CopiedBatch copied);
  void wait_for_copies(std::size_t at_most_in_flight);
  void report_decode_counts();

  WorkerPool& pool_;
  Split split_;
  DataLoader loader_;
  at::Device device_;
  BatchRange left_;  ///< to be delivered
  // From the workers:
  std::optional<c10::Stream> copy_stream_;
  std::deque<Copy> copies_;
  std::optional<ImageDecoder> decoder_;  ///< for a split with images that the GPU decodes
  bool decode_counts_reported_ = false;
  std::future<CopiedBatch> decoded_;  ///< the next batch, while it is decoded
  // Once the split is kept on the device:
  std::optional<ResidentSplit> resident_;
  EpochMeter meter_;  ///< if measures()
};

}  // namespace trainyard
