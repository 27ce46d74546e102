/// Writes checkpoints on a background thread while training continues.
#pragma once

#include <filesystem>
#include <future>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "config/config.h"

namespace trainyard {

/// Writes a checkpoint and updates the link `last` and, if it is the best, `best`. Throws RunError.
void save_checkpoint(const std::filesystem::path& checkpoints, const Checkpoint& contents, bool best,
                     const CheckpointConfig& config);

/// Owns the folder `checkpoints` of a run: one writer at a time. Not thread-safe.
class CheckpointWriter {
 public:
  /// A write that failed.
  struct Failure {
    std::int64_t step;
    std::string cause;
    int error;  ///< errno; 0: no system call failed
  };

  CheckpointWriter(std::filesystem::path checkpoints, const CheckpointConfig& config);
  /// Waits for a write in progress.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Copies the tensors on their device (on a GPU in order with the work already queued on its current stream) and
  /// starts to save; the tensors may change afterwards. Waits for the previous write if that is still in progress. A
  /// write that fails is logged and leaves earlier checkpoints unchanged; so is the removal of those no longer kept. If
  /// no thread can be created, warns once and saves before returning.
  void write(const Checkpoint& contents, bool best);

  /// Waits until everything is written. Throws RunError with the cause if the last write failed.
  void finish();

 private:
  std::filesystem::path checkpoints_;
  CheckpointConfig config_;
  std::future<std::optional<Failure>> writing_;
  std::optional<Failure> last_failure_;
  bool warned_of_thread_ = false;
};

}  // namespace trainyard
