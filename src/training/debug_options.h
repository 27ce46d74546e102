/// Debugging flags of `train`. They are not part of the configuration file, because they do not define a run.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace trainyard {

class LrFinder;

struct DebugOptions {
  bool fast_dev_run = false;         ///< one epoch of a few batches, to see that every part works
  std::int64_t overfit_batches = 0;  ///< train on this many batches, the same in every pass; 0: on all
  std::string profile;               ///< steps to trace, in the format of parse_step_range(); empty: none
  LrFinder* lr_finder = nullptr;     ///< receives the loss of every batch and ends the run once it has diverged
  bool dry_run = false;              ///< show the model's size, a step's memory and a batch's images; train nothing

  static constexpr std::uint64_t fast_dev_batches = 3;
  static constexpr std::uint64_t all_batches = std::numeric_limits<std::uint64_t>::max();

  /// Maximum number of batches in a pass over the training data.
  std::uint64_t train_batches() const {
    if (fast_dev_run) return fast_dev_batches;
    return overfit_batches > 0 ? static_cast<std::uint64_t>(overfit_batches) : all_batches;
  }
  /// Maximum number of batches in an evaluation.
  std::uint64_t val_batches() const { return fast_dev_run || lr_finder != nullptr ? fast_dev_batches : all_batches; }
  /// Whether the run is only a trial that cannot be resumed.
  bool writes_to_scratch() const { return fast_dev_run || overfit_batches > 0; }
};

}  // namespace trainyard
