#include "training/device_loader.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace trainyard {
namespace {

at::ScalarType scalar_type(DType type) { return type == DType::uint8 ? at::kByte : at::kFloat; }

// Tensors over the slot's memory; valid while the batch is held.
at::Tensor images_in_slot(const Batch& batch) {
  std::vector<std::int64_t> shape = batch.sample().shape;
  shape.insert(shape.begin(), static_cast<std::int64_t>(batch.count()));
  return at::from_blob(const_cast<std::byte*>(batch.images().data()), shape, scalar_type(batch.sample().dtype));
}

at::Tensor labels_in_slot(const Batch& batch) {
  return at::from_blob(const_cast<std::int64_t*>(batch.labels().data()), {static_cast<std::int64_t>(batch.count())},
                       at::kLong);
}

}  // namespace

DeviceLoader::DeviceLoader(DataLoader& loader, Normalize normalize, at::Device device)
    : loader_(loader), normalize_(std::move(normalize)), device_(device) {
  if (device_.is_cuda()) {
    copy_stream_ = c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_);
  }
}

DeviceLoader::~DeviceLoader() {
  for (Copy& copy : copies_) copy.done.synchronize();  // a slot must not be filled again while it is being read
}

std::optional<DeviceBatch> DeviceLoader::next() {
  // One slot may be in flight to the GPU while the next is taken.
  wait_for_copies(1);
  std::optional<Batch> batch = loader_.next();
  if (!batch) return std::nullopt;
  return device_.is_cpu() ? read_in_place(*batch) : copy_to_gpu(std::move(*batch));
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
