#include "loader_torch/device_loader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "loader_torch/slot_tensors.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

std::uint64_t bytes_of(const std::vector<Field>& fields) {
  std::uint64_t bytes = 0;
  for (const Field& field : fields) bytes += field.bytes();
  return bytes;
}

}  // namespace

DeviceLoader::DeviceLoader(WorkerPool& pool, Split split, const DataLoaderOptions& options, at::Device device)
    : pool_(pool), split_(split), loader_(pool, split, options), device_(device) {
  if (device_.is_cuda()) {
    copy_stream_ =
        c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_, /*isHighPriority=*/true);
  }
  const std::vector<Field>& fields = this->split().fields;
  if (std::none_of(fields.begin(), fields.end(), [](const Field& field) { return field.encoded_bytes > 0; })) return;
  if (device_.is_cpu()) {
    throw MachineError("loader",
                       "transform.decode = gpu, and there is no GPU: set it to exact, or train.device to cpu");
  }
  decoder_.emplace(device_);
}

DeviceLoader::~DeviceLoader() {
  drop_decoding();
  wait_for_copies(0);
}

void DeviceLoader::keep_on_device(const HostGroup& group, StopToken stop) {
  resident_.emplace(pool_, split_, device_, group, stop);
}

void DeviceLoader::start_epoch(std::uint64_t epoch, std::int64_t first_batch) {
  const BatchRange all = range_of(epoch);
  start({all.first + static_cast<std::uint64_t>(first_batch), all.end});
}

void DeviceLoader::start(const BatchRange& range) {
  drop_decoding();
  wait_for_copies(0);
  left_ = range;
  meter_.start(pool_);
  if (!resident_) loader_.start(range);
}

void DeviceLoader::follow_with(DeviceLoader* other, const BatchRange& range) {
  loader_.follow_with(other != nullptr ? &other->loader_ : nullptr, range);
}

std::optional<DeviceBatch> DeviceLoader::next() {
  if (left_.count() == 0) {
    wait_for_copies(0);
    report_decode_counts();
    return std::nullopt;
  }
  DeviceBatch batch = resident_ ? gather() : load();
  ++left_.first;
  return batch;
}

std::vector<std::uint64_t> DeviceLoader::sample_indices(const DeviceBatch& batch) const {
  std::vector<std::uint64_t> asked_for = sample_indices(static_cast<std::uint64_t>(batch.epoch), batch.number);
  if (batch.kept.empty()) return asked_for;
  std::vector<std::uint64_t> indices;
  for (const std::uint32_t place : batch.kept) indices.push_back(asked_for[place]);
  return indices;
}

DeviceBatch DeviceLoader::gather() {
  const std::int64_t began = monotonic_ns();
  if (!resident_->has_selected(left_.first)) {
    const std::uint64_t end_of_epoch = range_of(left_.first / loader_.batches()).end;
    resident_->select(loader_, {left_.first, std::min(left_.end, end_of_epoch)});
  }
  DeviceBatch batch = resident_->gather(left_.first);
  meter_.add(seconds_since(began), static_cast<std::uint64_t>(batch.count),
             static_cast<std::uint64_t>(batch.count) * bytes_of(split().fields));
  return batch;
}

DeviceBatch DeviceLoader::load() {
  if (device_.is_cpu()) return read_in_place(take());
  if (!decoder_) return hand_over(copy_to_gpu(take()));
  const std::int64_t began = monotonic_ns();
  if (!decoded_.valid()) start_decoding();
  CopiedBatch copied = decoded_.get();
  std::uint64_t bytes = 0;
  for (const BatchField& field : copied.copy.batch.fields()) bytes += field.elements.size();
  DeviceBatch batch = hand_over(std::move(copied));
  if (left_.count() > 1) start_decoding();
  meter_.add(seconds_since(began), static_cast<std::uint64_t>(batch.count), bytes);
  return batch;
}

// One slot may be in flight to the GPU while the next is taken.
Batch DeviceLoader::take() {
  wait_for_copies(1);
  return *loader_.next();
}

// In a thread, because decoding keeps the CPU waiting for the GPU's engine.
void DeviceLoader::start_decoding() {
  decoded_ = std::async(std::launch::async, [this, batch = take()]() mutable { return copy_to_gpu(std::move(batch)); });
}

// Waits for a batch that nobody will ask for.
void DeviceLoader::drop_decoding() {
  if (!decoded_.valid()) return;
  try {
    copies_.push_back(std::move(decoded_.get().copy));
  } catch (const std::exception&) {  // it would have been the error of next()
  }
}

DeviceBatch DeviceLoader::read_in_place(Batch batch) const {
  DeviceBatch result{.fields = {},
                     .epoch = static_cast<std::int64_t>(batch.epoch()),
                     .number = static_cast<std::int64_t>(batch.number()),
                     .count = static_cast<std::int64_t>(batch.count()),
                     .kept = batch.kept()};
  const auto held = std::make_shared<const Batch>(std::move(batch));
  for (std::size_t i = 0; i < held->fields().size(); ++i) {
    const Field& field = *held->fields()[i].field;
    // A label that is kept must not keep the whole slot.
    const bool in_place = !field.varies && field.shape.size() > 1;
    DeviceField& one = result.fields.emplace_back(DeviceField{.name = field.name, .data = {}});
    const bool padded = split().padded[i];
    one.data = in_place ? tensor_in_slot(held, i, padded) : tensor_in_slot(*held, i, padded).clone();
    if (!field.varies) continue;
    one.rows = rows_in_slot(*held, i).clone();
    one.begins = begins_in_slot(*held, i).clone();
  }
  return result;
}

DeviceLoader::CopiedBatch DeviceLoader::copy_to_gpu(Batch batch) {
  c10::Event done(device_.type());
  DeviceBatch on_device{.fields = {},
                        .epoch = static_cast<std::int64_t>(batch.epoch()),
                        .number = static_cast<std::int64_t>(batch.number()),
                        .count = static_cast<std::int64_t>(batch.count()),
                        .kept = batch.kept()};
  const c10::StreamGuard on_copy_stream(*copy_stream_);
  const auto copy = [&](const at::Tensor& tensor) { return tensor.to(device_, /*non_blocking=*/true); };
  for (std::size_t i = 0; i < batch.fields().size(); ++i) {
    const Field& field = *batch.fields()[i].field;
    DeviceField& one = on_device.fields.emplace_back(DeviceField{.name = field.name, .data = {}});
    one.data = field.encoded_bytes > 0 ? decoder_->decode(batch, i) : copy(tensor_in_slot(batch, i, split().padded[i]));
    if (!field.varies) continue;
    one.rows = copy(rows_in_slot(batch, i));
    one.begins = copy(begins_in_slot(batch, i));
  }
  done.record(*copy_stream_);
  return {std::move(on_device), {std::move(batch), std::move(done)}};
}

// Lets the current stream wait for the batch.
DeviceBatch DeviceLoader::hand_over(CopiedBatch copied) {
  const c10::Stream compute_stream = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  copied.copy.done.block(compute_stream);
  // The allocator must not reuse this memory for the next copy while the step still reads it.
  for (const DeviceField& field : copied.on_device.fields) {
    for (const at::Tensor* const tensor : {&field.data, &field.rows, &field.begins}) {
      if (tensor->defined()) tensor->record_stream(compute_stream);
    }
  }
  copies_.push_back(std::move(copied.copy));
  return std::move(copied.on_device);
}

// Once, after the first epoch.
void DeviceLoader::report_decode_counts() {
  if (!decoder_ || std::exchange(decode_counts_reported_, true)) return;
  const std::string text = describe(decoder_->counts());
  if (!text.empty()) log_warning("[loader] {}: {}", to_string(split_), text);
}

void DeviceLoader::wait_for_copies(std::size_t at_most_in_flight) {
  while (!copies_.empty() && (copies_.size() > at_most_in_flight || copies_.front().done.query())) {
    copies_.front().done.synchronize();
    copies_.pop_front();
  }
}

}  // namespace trainyard
