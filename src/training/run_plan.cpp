#include "training/run_plan.h"

namespace trainyard {

RunPlan::RunPlan(const TrainConfig& config, std::int64_t batches)
    : epochs_(config.epochs),
      accumulate_(config.accumulate),
      batches_(batches),
      steps_per_pass_((batches + accumulate_ - 1) / accumulate_),
      steps_per_epoch_(config.steps_per_epoch > 0 ? config.steps_per_epoch : steps_per_pass_) {}

bool RunPlan::contains(const Place& place) const {
  return place.epoch >= 0 && steps_done(place) >= 0 && steps_done(place) <= steps_per_epoch_;
}

BatchRange RunPlan::batches_done(const Place& place) const {
  return batches_of(place.epoch * steps_per_epoch_, place.step);
}

BatchRange RunPlan::batches_left(const Place& place) const {
  return batches_of(place.step, (place.epoch + 1) * steps_per_epoch_);
}

BatchRange RunPlan::batches_to_end(const Place& place) const { return batches_of(place.step, steps()); }

BatchRange RunPlan::batches_of(std::int64_t first_step, std::int64_t end_step) const {
  return {first_batch_of(first_step), first_batch_of(end_step)};
}

std::uint64_t RunPlan::first_batch_of(std::int64_t step) const {
  const std::int64_t pass = step / steps_per_pass_;
  return static_cast<std::uint64_t>(pass * batches_ + step % steps_per_pass_ * accumulate_);
}

}  // namespace trainyard
