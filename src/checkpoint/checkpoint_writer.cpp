#include "checkpoint/checkpoint_writer.h"

#include <memory>

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

// Contents that nobody else changes, and on a GPU the moment from which on they are there.
struct Snapshot {
  Checkpoint contents;
  std::optional<c10::Event> copied;
};

// On the tensor's own device, where a copy takes next to nothing; on the host where the GPU has no room for it.
at::Tensor copy_of(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach();
  try {
    return plain.clone(at::MemoryFormat::Contiguous);
  } catch (const c10::OutOfMemoryError&) {
    return plain.cpu().contiguous();
  }
}

Snapshot snapshot_of(const Checkpoint& contents) {
  Snapshot snapshot{.contents = {.manifest = contents.manifest, .model = {}, .ema = {}, .state = {}},
                    .copied = std::nullopt};
  std::optional<at::Device> gpu;
  const auto copy = [&](const NamedTensors& from, NamedTensors& to) {
    for (const auto& [name, tensor] : from) {
      to.emplace_back(name, copy_of(tensor));
      if (tensor.is_cuda()) gpu = tensor.device();
    }
  };
  copy(contents.model, snapshot.contents.model);
  copy(contents.ema, snapshot.contents.ema);
  copy(contents.state, snapshot.contents.state);
  if (gpu) {
    snapshot.copied.emplace(gpu->type());
    snapshot.copied->record(c10::impl::VirtualGuardImpl(gpu->type()).getStream(*gpu));
  }
  return snapshot;
}

// On a thread of its own. Copies to the host go over a stream of their own, so that they do not wait for later steps.
bool write_snapshot(const Snapshot& snapshot, const std::filesystem::path& checkpoints, const CheckpointConfig& config,
                    bool best) {
  try {
    std::optional<c10::StreamGuard> on_copy_stream;
    if (snapshot.copied) {
      const at::Device gpu(snapshot.copied->device_type(), snapshot.copied->device_index());
      on_copy_stream.emplace(c10::impl::VirtualGuardImpl(gpu.type()).getStreamFromGlobalPool(gpu));
      snapshot.copied->synchronize();
    }
    const std::filesystem::path written = write_checkpoint(checkpoints, snapshot.contents);
    point_link(checkpoints, "last", written);
    if (best && config.keep_best) point_link(checkpoints, "best", written);
    prune(checkpoints, static_cast<std::size_t>(config.keep));
    return true;
  } catch (const std::exception& error) {
    log_error("{}; step {} is not saved, the checkpoint before is whole, training goes on", error.what(),
              snapshot.contents.manifest.step);
    return false;
  }
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::filesystem::path checkpoints, const CheckpointConfig& config)
    : checkpoints_(std::move(checkpoints)), config_(config) {}

CheckpointWriter::~CheckpointWriter() {
  if (writing_.valid()) writing_.wait();
}

void CheckpointWriter::write(const Checkpoint& contents, bool best) {
  if (writing_.valid()) last_went_well_ = writing_.get();
  auto snapshot = std::make_shared<Snapshot>(snapshot_of(contents));
  writing_ = std::async(std::launch::async, [snapshot, folder = checkpoints_, config = config_, best] {
    return write_snapshot(*snapshot, folder, config, best);
  });
}

void CheckpointWriter::finish() {
  if (writing_.valid()) last_went_well_ = writing_.get();
  if (last_went_well_) return;
  throw RunError("checkpoint",
                 "the last checkpoint could not be written to {}; make room and give the same command: "
                 "it goes on from the one before",
                 checkpoints_.string());
}

}  // namespace trainyard
