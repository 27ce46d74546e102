/// Checkpoints written behind the training's back.
#pragma once

#include <filesystem>
#include <future>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "config/config.h"

namespace trainyard {

/// Owns the folder `checkpoints` of a run: one writer at a time. Used from one thread.
class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path checkpoints, const CheckpointConfig& config);
  /// Waits for a write under way.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Copies the tensors where they are (on a GPU: behind the work already given to its current stream) and begins to
  /// write; the tensors may change afterwards. `last`, and `best` where this is the best, point to it once it is whole,
  /// and those no longer kept go. Waits for the write before, if that is still under way. A write that fails is logged
  /// and leaves what was there before.
  void write(const Checkpoint& contents, bool best);

  /// Waits until all is written. Throws RunError where the last write failed.
  void finish();

 private:
  std::filesystem::path checkpoints_;
  CheckpointConfig config_;
  std::future<bool> writing_;  // whether it went well
  bool last_went_well_ = true;
};

}  // namespace trainyard
