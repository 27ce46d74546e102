#include "training/resident_split.h"

#include "loader/data_loader.h"
#include "training/slot_tensors.h"
#include "util/error.h"

namespace trainyard {

ResidentSplit::ResidentSplit(WorkerPool& pool, Split split, at::Device device)
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
    const auto count = static_cast<std::int64_t>(batch->count());
    images_.narrow(0, row, count).copy_(images_in_slot(*batch));
    labels_.narrow(0, row, count).copy_(labels_in_slot(*batch));
    for (std::size_t i = 0; i < batch->count(); ++i) row_of_[batch->sample_index(i)] = row++;
  }
}

ResidentSplit::Samples ResidentSplit::gather(const std::vector<std::uint64_t>& indices, std::uint64_t epoch,
                                             const Normalize& normalize) const {
  // Pinned, so that the copies to a GPU wait for nothing.
  const auto on_host = [&](at::ScalarType type) {
    return at::empty({static_cast<std::int64_t>(indices.size())},
                     at::TensorOptions(type).pinned_memory(device_.is_cuda()));
  };
  const at::Tensor rows = on_host(at::kLong);
  const at::Tensor mirrored = mirror_ ? on_host(at::kBool) : at::Tensor();
  auto* const row = rows.data_ptr<std::int64_t>();
  std::int64_t count = 0;
  for (const std::uint64_t index : indices) {
    if (row_of_[index] < 0) continue;
    row[count] = row_of_[index];
    if (mirror_) mirrored.data_ptr<bool>()[count] = (*mirror_)(seed_, epoch, index);
    ++count;
  }
  if (count == 0) {
    throw RunError("loader",
                   "none of the {} samples of a batch, for one sample {}, could be read when they were put on the GPU",
                   indices.size(), indices.front());
  }
  const auto on_device = [&](const at::Tensor& values) {
    return values.defined() ? values.narrow(0, 0, count).to(device_, /*non_blocking=*/true) : at::Tensor();
  };
  const Selection selection{.indices = on_device(rows), .mirrored = on_device(mirrored)};
  return {.images = normalize(images_, selection), .labels = labels_.index_select(0, selection.indices)};
}

std::uint64_t resident_bytes(const std::vector<SplitInfo>& splits) {
  std::uint64_t bytes = 0;
  for (const SplitInfo& split : splits) bytes += split.size * (split.sample.bytes() + sizeof(std::int64_t));
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
