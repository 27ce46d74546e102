/// Ways to look into a run: flags of `train` that no configuration file holds, as they don't make a run what it is.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace trainyard {

class LrFinder;

struct DebugOptions {
  bool fast_dev_run = false;         ///< one epoch of a few batches, to see that every part works
  std::int64_t overfit_batches = 0;  ///< train on this many batches, the same in every epoch; 0: on all
  std::string profile;               ///< steps to trace, as parse_step_range takes them; empty: none
  LrFinder* lr_finder = nullptr;     ///< gets the loss of every batch, and ends the run once it has diverged
  std::int64_t most_batches = 0;     ///< of an epoch; 0: all there are
  bool dry_run = false;              ///< show the model's size, a step's memory and a batch's pictures; train nothing

  static constexpr std::int64_t fast_dev_batches = 3;
  static constexpr std::int64_t all_batches = std::numeric_limits<std::int64_t>::max();

  /// Most batches of an epoch.
  std::int64_t train_batches() const {
    if (fast_dev_run) return fast_dev_batches;
    if (overfit_batches > 0) return overfit_batches;
    return most_batches > 0 ? most_batches : all_batches;
  }
  /// Most batches of an evaluation.
  std::int64_t val_batches() const { return fast_dev_run || lr_finder != nullptr ? fast_dev_batches : all_batches; }
  /// Whether what is trained is no run to go on with.
  bool scratch() const { return fast_dev_run || overfit_batches > 0; }
};

}  // namespace trainyard
