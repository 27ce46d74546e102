#include "loader_torch/device_loader.h"

#include <algorithm>

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "loader_torch/slot_tensors.h"
#include "util/clock.h"

namespace trainyard {
namespace {

double seconds_since(std::int64_t began_ns) { return static_cast<double>(monotonic_ns() - began_ns) * 1e-9; }

}  // namespace

DeviceLoader::DeviceLoader(WorkerPool& pool, Split split, const DataLoaderOptions& options, Normalize normalize,
                           at::Device device)
    : pool_(pool), split_(split), loader_(pool, split, options), normalize_(std::move(normalize)), device_(device) {
  if (device_.is_cuda()) {
    copy_stream_ = c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_);
  }
}

DeviceLoader::~DeviceLoader() { wait_for_copies(0); }

void DeviceLoader::keep_on_device(StopToken stop) { resident_.emplace(pool_, split_, device_, stop); }

void DeviceLoader::start_epoch(std::uint64_t epoch, std::int64_t first_batch, std::int64_t most_batches) {
  wait_for_copies(0);
  next_ = first_batch;
  end_ = std::min(batches(), most_batches);
  if (resident_) {
    meter_.start(pool_);
    const std::int64_t began = monotonic_ns();
    resident_->start_epoch(loader_, epoch, next_, end_);
    meter_.add(seconds_since(began), 0, 0);
  } else {
    loader_.start_epoch(epoch, static_cast<std::uint64_t>(first_batch));
  }
}

void DeviceLoader::follow_with(DeviceLoader* other, std::uint64_t epoch) {
  loader_.follow_with(other != nullptr ? &other->loader_ : nullptr, epoch);
}

std::optional<DeviceBatch> DeviceLoader::next() {
  if (next_ >= end_) {
    wait_for_copies(0);
    return std::nullopt;
  }
  DeviceBatch batch = resident_ ? gather() : load();
  ++next_;
  return batch;
}

DeviceBatch DeviceLoader::gather() {
  const std::int64_t began = monotonic_ns();
  ResidentSplit::Samples samples = resident_->gather(next_, normalize_);
  const std::int64_t count = samples.labels.size(0);
  meter_.add(seconds_since(began), static_cast<std::uint64_t>(count),
             static_cast<std::uint64_t>(count) * split().sample.bytes());
  return {.images = std::move(samples.images), .labels = std::move(samples.labels), .number = next_, .count = count};
}

DeviceBatch DeviceLoader::load() {
  // One slot may be in flight to the GPU while the next is taken.
  wait_for_copies(1);
  Batch batch = *loader_.next();
  return device_.is_cpu() ? read_in_place(batch) : copy_to_gpu(std::move(batch));
}

DeviceBatch DeviceLoader::read_in_place(const Batch& batch) const {
  return {.images = normalize_(images_in_slot(batch)),
          .labels = labels_in_slot(batch).clone(),
          .number = static_cast<std::int64_t>(batch.number()),
          .count = static_cast<std::int64_t>(batch.count())};
}

DeviceBatch DeviceLoader::copy_to_gpu(Batch batch) {
  const c10::impl::VirtualGuardImpl gpu(device_.type());
  const c10::Stream compute_stream = gpu.getStream(device_);
  c10::Event copied(device_.type());
  at::Tensor images;
  at::Tensor labels;
  {
    const c10::StreamGuard on_copy_stream(*copy_stream_);
    images = images_in_slot(batch).to(device_, /*non_blocking=*/true);
    labels = labels_in_slot(batch).to(device_, /*non_blocking=*/true);
    copied.record(*copy_stream_);
  }
  copied.block(compute_stream);
  // The allocator must not hand this memory to the next copy while the step still reads it.
  images.record_stream(compute_stream);
  labels.record_stream(compute_stream);
  DeviceBatch on_device{.images = normalize_(images),
                        .labels = labels,
                        .number = static_cast<std::int64_t>(batch.number()),
                        .count = static_cast<std::int64_t>(batch.count())};
  copies_.push_back({std::move(batch), std::move(copied)});
  return on_device;
}

void DeviceLoader::wait_for_copies(std::size_t at_most_in_flight) {
  while (!copies_.empty() && (copies_.size() > at_most_in_flight || copies_.front().done.query())) {
    copies_.front().done.synchronize();
    copies_.pop_front();
  }
}

}  // namespace trainyard
