#include "loader_torch/resident_split.h"

#include "loader_torch/slot_tensors.h"
#include "util/error.h"

namespace trainyard {

ResidentSplit::ResidentSplit(WorkerPool& pool, Split split, at::Device device, StopToken stop)
    : device_(device), seed_(pool.options().seed) {
  DataLoader loader(pool, split, {.unmirrored = true});
  const SplitInfo& info = loader.split();
  const auto size = static_cast<std::int64_t>(info.size);
  std::vector<std::int64_t> shape = info.sample.shape;
  shape.insert(shape.begin(), size);
  mirror_ = info.mirror;
  images_ = at::empty(shape, at::TensorOptions(device).dtype(scalar_type(info.sample.dtype)));
  labels_ = at::empty({size}, at::TensorOptions(device).dtype(at::kLong));
  row_of_.assign(info.size, -1);

  std::int64_t row = 0;
  loader.start_epoch(0);
  while (const std::optional<Batch> batch = loader.next()) {
    if (stop.stop_requested()) return;
    const auto count = static_cast<std::int64_t>(batch->count());
    images_.narrow(0, row, count).copy_(images_in_slot(*batch));
    labels_.narrow(0, row, count).copy_(labels_in_slot(*batch));
    for (std::size_t i = 0; i < batch->count(); ++i) row_of_[batch->sample_index(i)] = row++;
  }
}

void ResidentSplit::start_epoch(const DataLoader& order, std::uint64_t epoch, std::int64_t first, std::int64_t end) {
  std::vector<std::int64_t> rows;
  std::vector<std::uint8_t> mirrored;
  first_batch_ = first;
  begins_ = {0};
  for (std::int64_t number = first; number < end; ++number) {
    for (const std::uint64_t index : order.sample_indices(epoch, static_cast<std::uint64_t>(number))) {
      if (row_of_[index] < 0) continue;
      rows.push_back(row_of_[index]);
      if (mirror_) mirrored.push_back((*mirror_)(seed_, epoch, index) ? 1 : 0);
    }
    begins_.push_back(static_cast<std::int64_t>(rows.size()));
    if (begins_.end()[-1] == begins_.end()[-2]) {
      throw RunError("loader", "no sample of batch {} of epoch {} could be read when they were put on the device",
                     number + 1, epoch + 1);
    }
  }
  chosen_.indices = at::tensor(rows, at::kLong).to(device_);
  if (mirror_) chosen_.mirrored = at::tensor(mirrored, at::kByte).to(device_).to(at::kBool);
}

ResidentSplit::Samples ResidentSplit::gather(std::int64_t number, const Normalize& normalize) const {
  const auto batch = static_cast<std::size_t>(number - first_batch_);
  const std::int64_t begin = begins_[batch];
  const std::int64_t count = begins_[batch + 1] - begin;
  Selection selection{.indices = chosen_.indices.narrow(0, begin, count)};
  if (mirror_) selection.mirrored = chosen_.mirrored.narrow(0, begin, count);
  return {.images = normalize(images_, selection), .labels = labels_.index_select(0, selection.indices)};
}

std::uint64_t resident_bytes(const std::vector<SplitInfo>& splits) {
  std::uint64_t bytes = 0;
  constexpr std::size_t label = sizeof(std::int64_t);
  constexpr std::size_t place_in_epoch = sizeof(std::int64_t) + sizeof(bool);
  for (const SplitInfo& split : splits) bytes += split.size * (split.sample.bytes() + label + place_in_epoch);
  return bytes;
}

void require_room_for(const std::vector<SplitInfo>& splits, std::uint64_t free_bytes) {
  const std::uint64_t needed = resident_bytes(splits);
  if (needed <= free_bytes) return;
  std::uint64_t samples = 0;
  for (const SplitInfo& split : splits) samples += split.size;
  throw MachineError(
      "loader",
      "loader.cache = gpu needs {} bytes of the GPU's memory for {} samples, {} are free; set loader.cache "
      "= none or shm, or let transform.train and transform.test make smaller images",
      needed, samples, free_bytes);
}

}  // namespace trainyard
