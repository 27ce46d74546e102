/// Says which batches the steps and the epochs of a run read.
#pragma once

#include <cstdint>

#include "config/config.h"
#include "loader/batch_range.h"

namespace trainyard {

/// How far a run is. With the weights and the optimizer's state, all that a checkpoint needs.
struct Place {
  std::int64_t epoch = 0;  ///< whole epochs done, with their evaluations
  std::int64_t step = 0;   ///< optimizer steps done
  bool operator==(const Place&) const = default;
};

/// The order of a run. It makes one pass over the data after another, each an epoch of the loader; batches are counted
/// on over the passes (BatchRange). Every train.accumulate batches are a step; the last step of a pass has those that
/// are left. Every train.steps_per_epoch steps are an epoch, wherever that ends in a pass; by default it is a pass.
/// Immutable.
class RunPlan {
 public:
  /// batches: of a pass. Without any, only steps_per_epoch(), steps() and completes_a_pass() may be called.
  RunPlan(const TrainConfig& config, std::int64_t batches);

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Of the whole run.
  std::int64_t steps() const { return epochs_ * steps_per_epoch_; }
  double passes() const { return static_cast<double>(steps()) / static_cast<double>(steps_per_pass_); }
  bool completes_a_pass() const { return steps() >= steps_per_pass_; }
  bool has_completed_a_pass(const Place& place) const { return place.step >= steps_per_pass_; }

  // Of the epoch that is being trained at `place`, or that begins there:
  std::int64_t steps_done(const Place& place) const { return place.step - place.epoch * steps_per_epoch_; }
  bool is_at_start(const Place& place) const { return steps_done(place) == 0; }
  /// Whether only its evaluation is left.
  bool is_at_end(const Place& place) const { return steps_done(place) == steps_per_epoch_; }
  BatchRange batches_done(const Place& place) const;
  BatchRange batches_left(const Place& place) const;

  /// Whether the step of `place` is one of its epoch.
  bool contains(const Place& place) const;
  /// Up to the end of the run.
  BatchRange batches_to_end(const Place& place) const;

  // Of a batch at a position in its pass:
  bool begins_step(std::int64_t batch) const { return batch % accumulate_ == 0; }
  bool ends_step(std::int64_t batch) const { return begins_step(batch + 1) || batch + 1 == batches_; }

 private:
  BatchRange batches_of(std::int64_t first_step, std::int64_t end_step) const;
  std::uint64_t first_batch_of(std::int64_t step) const;

  std::int64_t epochs_;
  std::int64_t accumulate_;
  std::int64_t batches_;  // of a pass
  std::int64_t steps_per_pass_;
  std::int64_t steps_per_epoch_;
};

}  // namespace trainyard
