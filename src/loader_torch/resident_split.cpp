#include "loader_torch/resident_split.h"

#include <algorithm>
#include <span>
#include <sstream>

#include <fmt/format.h>

#include <c10/core/impl/VirtualGuardImpl.h>

#include "loader_torch/slot_tensors.h"
#include "util/count_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

at::Tensor empty(const Field& field, std::uint64_t samples, at::Device device, const HostGroup& group) {
  std::vector<std::int64_t> shape = field.shape;
  shape.insert(shape.begin(), static_cast<std::int64_t>(samples));
  const at::ScalarType type = scalar_type(field.dtype);
  if (group.count > 1) return empty_on_peers(shape, type, device, group);
  return at::empty(shape, at::TensorOptions(device).dtype(type));
}

// A view of a contiguous tensor: rows × the bytes of a row.
at::Tensor bytes_of_rows(const at::Tensor& tensor) { return tensor.reshape({tensor.size(0), -1}).view(at::kByte); }

std::span<const SplitInfo> kept(const std::vector<SplitInfo>& splits) {
  return std::span(splits).first(std::min(splits.size(), cached_splits));
}

}  // namespace

ResidentSplit::ResidentSplit(WorkerPool& pool, Split split, at::Device device, const HostGroup& group, StopToken stop)
    : device_(device), seed_(pool.options().seed) {
  DataLoader loader(pool, split, {.rank = group.rank, .world_size = group.count, .unmirrored = true});
  const SplitInfo& info = loader.split();
  mirror_ = info.mirror;
  fields_ = info.fields;
  readable_.assign(info.size, false);
  for (const Field& field : fields_) data_.push_back(empty(field, info.size, device, group));

  loader.start_epoch(0);
  while (const std::optional<Batch> batch = loader.next()) {
    if (stop.stop_requested()) break;
    if (batch->count() == 0) continue;  // a higher rank's part of the last batch
    std::vector<std::int64_t> indices;
    for (std::size_t i = 0; i < batch->count(); ++i) {
      const std::uint64_t index = batch->sample_index(i);
      readable_[index] = true;
      indices.push_back(static_cast<std::int64_t>(index));
    }
    const at::Tensor rows = at::tensor(indices, at::kLong).to(device_);
    for (std::size_t i = 0; i < data_.size(); ++i) {
      bytes_of_rows(data_[i]).index_copy_(0, rows,
                                          bytes_of_rows(tensor_in_slot(*batch, i, /*padded=*/false).to(device_)));
    }
  }
  if (group.count > 1) collect_readable(loader, group);
}

// Waits for the other ranks, and learns which of their samples could not be read.
void ResidentSplit::collect_readable(const DataLoader& loader, const HostGroup& group) {
  c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
  std::string unreadable;  // of this rank's samples, each followed by a space
  for (std::uint64_t batch = 0; batch < loader.batches(); ++batch) {
    for (const std::uint64_t index : loader.sample_indices(0, batch)) {
      if (!readable_[index]) unreadable += fmt::format("{} ", index);
    }
  }
  readable_.assign(readable_.size(), true);
  for (const std::string& indices : group.all_gather(unreadable)) {
    std::istringstream words(indices);
    for (std::size_t index = 0; words >> index;) readable_.at(index) = false;
  }
}

void ResidentSplit::select(const DataLoader& order, const BatchRange& range) {
  std::vector<std::int64_t> rows;
  std::vector<std::uint8_t> mirrored;
  selected_ = {};
  batches_per_epoch_ = order.batches();
  begins_ = {0};
  kept_.clear();
  for (std::uint64_t batch = range.first; batch < range.end; ++batch) {
    const std::uint64_t epoch = batch / batches_per_epoch_;
    const std::uint64_t number = batch % batches_per_epoch_;
    const std::vector<std::uint64_t> indices = order.sample_indices(epoch, number);
    const std::vector<std::uint64_t> keys = order.random_keys(epoch, number);
    std::vector<std::uint32_t> kept;
    for (std::uint32_t i = 0; i < indices.size(); ++i) {
      if (!readable_[indices[i]]) continue;
      kept.push_back(i);
      rows.push_back(static_cast<std::int64_t>(indices[i]));
      if (mirror_) mirrored.push_back((*mirror_)(seed_, keys[i], indices[i]) ? 1 : 0);
    }
    if (kept.size() < indices.size()) kept_.emplace(batch, std::move(kept));
    begins_.push_back(static_cast<std::int64_t>(rows.size()));
    if (!indices.empty() && begins_.end()[-1] == begins_.end()[-2]) {
      throw RunError("loader", "no sample of batch {} of epoch {} could be read when they were put on the device",
                     number + 1, epoch + 1);
    }
  }
  chosen_.indices = at::tensor(rows, at::kLong).to(device_);
  if (mirror_) chosen_.mirrored = at::tensor(mirrored, at::kByte).to(device_).to(at::kBool);
  selected_ = range;
}

DeviceBatch ResidentSplit::gather(std::uint64_t batch) const {
  const std::uint64_t place = batch - selected_.first;
  const std::int64_t begin = begins_[place];
  const std::int64_t count = begins_[place + 1] - begin;
  const Selection selection{.indices = chosen_.indices.narrow(0, begin, count), .mirrored = {}};
  Selection mirrored = selection;
  if (mirror_) mirrored.mirrored = chosen_.mirrored.narrow(0, begin, count);
  const auto kept = kept_.find(batch);
  DeviceBatch result{.fields = {},
                     .epoch = static_cast<std::int64_t>(batch / batches_per_epoch_),
                     .number = static_cast<std::int64_t>(batch % batches_per_epoch_),
                     .count = count,
                     .kept = kept == kept_.end() ? std::vector<std::uint32_t>() : kept->second};
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    result.fields.push_back(
        {.name = fields_[i].name, .data = data_[i], .selection = fields_[i].is_spatial() ? mirrored : selection});
  }
  return result;
}

std::uint64_t resident_bytes(const std::vector<SplitInfo>& splits, int gpus) {
  std::uint64_t bytes = 0;
  constexpr std::size_t place_in_epoch = sizeof(std::int64_t) + sizeof(bool);
  for (const SplitInfo& split : kept(splits)) {
    bytes += split.size * place_in_epoch;
    for (const Field& field : split.fields) {
      const std::uint64_t whole = split.size * field.bytes();
      bytes += gpus > 1 ? peer_share(whole, gpus) : whole;
    }
  }
  return bytes;
}

void require_room_for(const std::vector<SplitInfo>& splits, std::uint64_t free_bytes, int gpus) {
  const std::uint64_t needed = resident_bytes(splits, gpus);
  if (needed <= free_bytes) return;
  std::uint64_t samples = 0;
  for (const SplitInfo& split : kept(splits)) samples += split.size;
  throw MachineError("loader",
                     "loader.cache = gpu needs {} bytes of {} memory for {}, {} are free; set loader.cache "
                     "= none or shm, or let transform.train and transform.test make smaller images",
                     needed, gpus > 1 ? fmt::format("each of {} GPUs'", gpus) : "the GPU's",
                     count_of(samples, "sample"), free_bytes);
}

}  // namespace trainyard
