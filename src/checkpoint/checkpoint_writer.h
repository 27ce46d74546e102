/// Writes checkpoints on a thread while training continues.
#pragma once

#include <filesystem>
#include <future>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "config/config.h"

namespace trainyard {

/// Writes a checkpoint, points `last` and, if it is the best, `best` to it, and removes those no longer kept.
/// Throws RunError.
void save_checkpoint(const std::filesystem::path& checkpoints, const Checkpoint& contents, bool best,
                     const CheckpointConfig& config);

/// Owns the folder `checkpoints` of a run: one writer at a time. Used from one thread.
class CheckpointWriter {
 public:
  /// A write that failed.
  struct Failure {
    std::int64_t step;
    std::string cause;
    int error;  ///< errno; 0: no system call failed
  };

  CheckpointWriter(std::filesystem::path checkpoints, const CheckpointConfig& config);
  /// Waits for a write under way.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Copies the tensors where they are (on a GPU: behind the work already given to its current stream) and begins to
  /// save; the tensors may change afterwards. Waits for the write before, if that is still under way. A write that
  /// fails is logged and leaves what was there before. If the system refuses a thread, which is warned about once, it
  /// returns after the save.
  void write(const Checkpoint& contents, bool best);

  /// Waits until all is written. Throws RunError with the cause if the last write failed.
  void finish();

 private:
  std::filesystem::path checkpoints_;
  CheckpointConfig config_;
  std::future<std::optional<Failure>> writing_;
  std::optional<Failure> last_failure_;
  bool warned_of_thread_ = false;
};

}  // namespace trainyard
