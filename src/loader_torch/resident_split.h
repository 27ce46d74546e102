/// Implements loader.cache = gpu: keeps a whole split on the GPU, or on those of a host together, and gathers its
/// batches there.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "loader/data_loader.h"
#include "loader_torch/device_batch.h"
#include "loader_torch/peer_memory.h"
#include "util/stop_token.h"
#include "util/torch.h"

namespace trainyard {

/// All samples of a split after its transforms, except for a final random_horizontal_flip, which is applied when a
/// batch is gathered. So batches are bit-identical to those of a DataLoader. A sample that could not be read
/// (OnWorkerError::skip) is skipped in every batch that it belongs to, as there, but is not tried again in later
/// epochs. Not thread-safe.
class ResidentSplit {
 public:
  /// Reads every sample once, through the workers, until `stop` requests a stop; the split is then incomplete. If
  /// `group` has several ranks, each reads a part of the samples, and the memory is spread over their GPUs. Throws like
  /// DataLoader::next and empty_on_peers(), and LibTorch's error if the device runs out of memory.
  ResidentSplit(WorkerPool& pool, Split split, at::Device device, const HostGroup& group = {}, StopToken stop = {});

  /// Selects the samples of the batches `range`, in the order of `order`, in place of those selected before. Throws
  /// RunError if no sample of a batch could be read.
  void select(const DataLoader& order, const BatchRange& range);
  bool has_selected(std::uint64_t batch) const { return selected_.first <= batch && batch < selected_.end; }

  /// Returns a selected batch: the fields of all samples, with the selection of the batch's samples. Copies nothing
  /// from the host and does not synchronize.
  DeviceBatch gather(std::uint64_t batch) const;

 private:
  void collect_readable(const DataLoader& loader, const HostGroup& group);

  at::Device device_;
  std::uint64_t seed_;
  std::optional<RandomMirror> mirror_;
  std::vector<Field> fields_;
  std::vector<at::Tensor> data_;  ///< one per field, on the device: all samples, in the order of the dataset
  std::vector<bool> readable_;    ///< one per sample
  // Of the selected batches:
  BatchRange selected_;
  std::uint64_t batches_per_epoch_ = 0;
  Selection chosen_;                  ///< of all of them, concatenated
  std::vector<std::int64_t> begins_;  ///< where each batch begins in it, and where the last one ends
  std::map<std::uint64_t, std::vector<std::uint32_t>> kept_;  ///< see DeviceBatch::kept; for batches with missing
                                                              ///< samples
};

/// The bytes that ResidentSplit keeps for those of these splits that are cached (cached_splits) on each of `gpus` GPUs
/// of a host that share them.
std::uint64_t resident_bytes(const std::vector<SplitInfo>& splits, int gpus = 1);

/// Throws MachineError with the bytes needed, the bytes available and what to do, if these splits do not fit into
/// `free_bytes` of each of `gpus` GPUs that share them.
void require_room_for(const std::vector<SplitInfo>& splits, std::uint64_t free_bytes, int gpus = 1);

}  // namespace trainyard
