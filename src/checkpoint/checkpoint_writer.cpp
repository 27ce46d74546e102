#include "checkpoint/checkpoint_writer.h"

#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "util/log.h"
#include "util/system_error.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

// Contents that no other thread changes, and, on a GPU, the event that marks them as copied.
struct Snapshot {
  Checkpoint contents;
  std::optional<c10::Event> copied;
};

// Copies on the tensor's own device, where that takes almost no time; to the host if the GPU lacks the memory.
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

std::string_view what_is_left(const std::filesystem::path& checkpoints) noexcept {
  try {
    return step_folders(checkpoints).empty() ? "no checkpoint is there" : "the checkpoint before is whole";
  } catch (const std::exception&) {  // the folder cannot be listed
    return "nothing else changed there";
  }
}

// What `best` still points to, because a better checkpoint could not be saved.
std::string best_that_is_left(const std::filesystem::path& checkpoints) {
  try {
    const std::optional<std::filesystem::path> best = linked(checkpoints, "best");
    return best ? fmt::format("; `best` stays {}, which is worse", best->filename().string())
                : "; there is no `best` yet";
  } catch (const std::exception& error) {  // the text file in its place cannot be read
    return fmt::format("; `best` cannot be read: {}", error.what());
  }
}

// Runs on its own thread. Copies to the host on a separate stream, so that they do not wait for later steps.
std::optional<CheckpointWriter::Failure> write_snapshot(const Snapshot& snapshot, const std::filesystem::path& folder,
                                                        const CheckpointConfig& config, bool best) {
  std::optional<CheckpointWriter::Failure> failure;
  try {
    std::optional<c10::StreamGuard> on_copy_stream;
    if (snapshot.copied) {
      const at::Device gpu(snapshot.copied->device_type(), snapshot.copied->device_index());
      on_copy_stream.emplace(c10::impl::VirtualGuardImpl(gpu.type()).getStreamFromGlobalPool(gpu));
      snapshot.copied->synchronize();
    }
    save_checkpoint(folder, snapshot.contents, best, config);
  } catch (const SystemError& error) {
    failure = {.step = snapshot.contents.manifest.step, .cause = error.what_without_hint(), .error = error.error()};
  } catch (const std::exception& error) {
    failure = {.step = snapshot.contents.manifest.step, .cause = message_of(error), .error = 0};
  }
  if (failure) {
    log_error("{}; step {} is not saved, {}, training continues{}", failure->cause, failure->step, what_is_left(folder),
              best && config.keep_best ? best_that_is_left(folder) : "");
    return failure;
  }
  try {
    prune(folder, static_cast<std::size_t>(config.keep));
  } catch (const std::exception& error) {
    log_error("{}; step {} is saved, but older checkpoints stay there", message_of(error),
              snapshot.contents.manifest.step);
  }
  return std::nullopt;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& checkpoints, const Checkpoint& contents, bool best,
                     const CheckpointConfig& config) {
  const std::filesystem::path written = write_checkpoint(checkpoints, contents);
  point_link(checkpoints, "last", written);
  if (best && config.keep_best) point_link(checkpoints, "best", written);
}

CheckpointWriter::CheckpointWriter(std::filesystem::path checkpoints, const CheckpointConfig& config)
    : checkpoints_(std::move(checkpoints)), config_(config) {}

CheckpointWriter::~CheckpointWriter() {
  if (writing_.valid()) writing_.wait();
}

void CheckpointWriter::write(const Checkpoint& contents, bool best) {
  if (writing_.valid()) last_failure_ = writing_.get();
  auto snapshot = std::make_shared<Snapshot>(snapshot_of(contents));
  const auto save = [snapshot, folder = checkpoints_, config = config_, best] {
    return write_snapshot(*snapshot, folder, config, best);
  };
  try {
    writing_ = std::async(std::launch::async, save);
  } catch (const std::system_error& refused) {
    if (!std::exchange(warned_of_thread_, true)) {
      log_warning("[checkpoint] no thread to save on: {}; training waits while checkpoints are saved", refused.what());
    }
    last_failure_ = save();
  }
}

void CheckpointWriter::finish() {
  if (writing_.valid()) last_failure_ = writing_.get();
  if (!last_failure_) return;
  throw RunError("checkpoint", "step {} could not be saved in {}: {}; {}; {}, then rerun the same command to resume",
                 last_failure_->step, checkpoints_.string(), without_where(last_failure_->cause),
                 what_is_left(checkpoints_), remedy_of(last_failure_->error));
}

}  // namespace trainyard
