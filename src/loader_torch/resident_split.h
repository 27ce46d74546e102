/// loader.cache = gpu: a whole split on the device, where its batches are gathered.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "loader/data_loader.h"
#include "loader_torch/device_batch.h"
#include "util/stop_token.h"
#include "util/torch.h"

namespace trainyard {

/// All samples of a split as its transforms leave them, but for the random_horizontal_flip that ends them: that one is
/// done when a batch is gathered. So batches are, bit for bit, those that a DataLoader delivers. A sample that could
/// not be read (OnWorkerError::skip) is left out of every batch that it belongs to, as there; it is tried in no later
/// epoch. Used from one thread.
class ResidentSplit {
 public:
  /// Reads every sample once, through the workers, until `stop` requests a stop: the split is incomplete then.
  /// Throws as DataLoader::next does, and LibTorch's error if the device lacks the memory.
  ResidentSplit(WorkerPool& pool, Split split, at::Device device, StopToken stop = {});

  /// Chooses what the batches from `first` on and before `end` are made of, in the order that `order` has in `epoch`.
  /// Throws RunError where nothing of one could be read.
  void start_epoch(const DataLoader& order, std::uint64_t epoch, std::int64_t first, std::int64_t end);

  /// Batch `number` of the epoch: the fields of all samples, with the selection of those of the batch. Nothing is
  /// copied from the host, and nothing waited for.
  DeviceBatch gather(std::int64_t number) const;

 private:
  at::Device device_;
  std::uint64_t seed_;
  std::optional<RandomMirror> mirror_;
  std::vector<Field> fields_;
  std::vector<at::Tensor> data_;      ///< one per field, on the device: all samples, in the order of the dataset
  std::vector<std::int64_t> row_of_;  ///< one a sample of the dataset; -1: it could not be read
  // Of the epoch:
  Selection chosen_;  ///< for all its batches, one behind the other
  std::int64_t first_batch_ = 0;
  std::vector<std::int64_t> begins_;  ///< where each batch begins in it, and where the last one ends
  std::map<std::int64_t, std::vector<std::uint32_t>> kept_;  ///< as DeviceBatch::kept, of batches that lack samples
};

/// What ResidentSplit keeps of these splits on the device.
std::uint64_t resident_bytes(const std::vector<SplitInfo>& splits);

/// Throws MachineError, with the bytes needed, the bytes there and what to do, where these splits do not fit into
/// `free_bytes`.
void require_room_for(const std::vector<SplitInfo>& splits, std::uint64_t free_bytes);

}  // namespace trainyard
