#include "loader_torch/resident_split.h"

#include "loader_torch/slot_tensors.h"
#include "util/error.h"

namespace trainyard {

ResidentSplit::ResidentSplit(WorkerPool& pool, Split split, at::Device device, StopToken stop)
    : device_(device), seed_(pool.options().seed) {
  DataLoader loader(pool, split, {.unmirrored = true});
  const SplitInfo& info = loader.split();
  const auto size = static_cast<std::int64_t>(info.size);
  mirror_ = info.mirror;
  fields_ = info.fields;
  for (const Field& field : fields_) {
    std::vector<std::int64_t> shape = field.shape;
    shape.insert(shape.begin(), size);
    data_.push_back(at::empty(shape, at::TensorOptions(device).dtype(scalar_type(field.dtype))));
  }
  row_of_.assign(info.size, -1);

  std::int64_t row = 0;
  loader.start_epoch(0);
  while (const std::optional<Batch> batch = loader.next()) {
    if (stop.stop_requested()) return;
    const auto count = static_cast<std::int64_t>(batch->count());
    for (std::size_t i = 0; i < data_.size(); ++i) {
      data_[i].narrow(0, row, count).copy_(tensor_in_slot(*batch, i, /*padded=*/false));
    }
    for (std::size_t i = 0; i < batch->count(); ++i) row_of_[batch->sample_index(i)] = row++;
  }
}

void ResidentSplit::start_epoch(const DataLoader& order, std::uint64_t epoch, std::int64_t first, std::int64_t end) {
  std::vector<std::int64_t> rows;
  std::vector<std::uint8_t> mirrored;
  first_batch_ = first;
  begins_ = {0};
  kept_.clear();
  for (std::int64_t number = first; number < end; ++number) {
    const auto batch = static_cast<std::uint64_t>(number);
    const std::vector<std::uint64_t> indices = order.sample_indices(epoch, batch);
    const std::vector<std::uint64_t> keys = order.random_keys(epoch, batch);
    std::vector<std::uint32_t> kept;
    for (std::uint32_t i = 0; i < indices.size(); ++i) {
      if (row_of_[indices[i]] < 0) continue;
      kept.push_back(i);
      rows.push_back(row_of_[indices[i]]);
      if (mirror_) mirrored.push_back((*mirror_)(seed_, keys[i], indices[i]) ? 1 : 0);
    }
    if (kept.size() < indices.size()) kept_.emplace(number, std::move(kept));
    begins_.push_back(static_cast<std::int64_t>(rows.size()));
    if (!indices.empty() && begins_.end()[-1] == begins_.end()[-2]) {
      throw RunError("loader", "no sample of batch {} of epoch {} could be read when they were put on the device",
                     number + 1, epoch + 1);
    }
  }
  chosen_.indices = at::tensor(rows, at::kLong).to(device_);
  if (mirror_) chosen_.mirrored = at::tensor(mirrored, at::kByte).to(device_).to(at::kBool);
}

DeviceBatch ResidentSplit::gather(std::int64_t number) const {
  const auto batch = static_cast<std::size_t>(number - first_batch_);
  const std::int64_t begin = begins_[batch];
  const std::int64_t count = begins_[batch + 1] - begin;
  const Selection selection{.indices = chosen_.indices.narrow(0, begin, count), .mirrored = {}};
  Selection mirrored = selection;
  if (mirror_) mirrored.mirrored = chosen_.mirrored.narrow(0, begin, count);
  const auto kept = kept_.find(number);
  DeviceBatch result{.fields = {},
                     .number = number,
                     .count = count,
                     .kept = kept == kept_.end() ? std::vector<std::uint32_t>() : kept->second};
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    result.fields.push_back(
        {.name = fields_[i].name, .data = data_[i], .selection = fields_[i].is_spatial() ? mirrored : selection});
  }
  return result;
}

std::uint64_t resident_bytes(const std::vector<SplitInfo>& splits) {
  std::uint64_t bytes = 0;
  constexpr std::size_t place_in_epoch = sizeof(std::int64_t) + sizeof(bool);
  for (const SplitInfo& split : splits) {
    bytes += split.size * place_in_epoch;
    for (const Field& field : split.fields) bytes += split.size * field.bytes();
  }
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
