// Saves the checkpoints of a Trainer.

#include "checkpoint/checkpoint.h"
#include "training/saved_run.h"
#include "training/trainer.h"

namespace trainyard {
namespace {

void append(NamedTensors& state, const std::string& prefix, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) state.emplace_back(prefix + name, tensor);
}

}  // namespace

void Trainer::prove_saving() {
  require_readable(config_);
  trainyard::prove_saving(folder_.checkpoints(), contents(), config_.checkpoint, saves_of(config_, plan_));
}

void Trainer::save() {
  check_all_losses();  // never save weights that a NaN loss has updated
  if (!group_.rank().is_first()) return;
  require_not_moved(folder_.path, held_);
  const bool best = plan_.is_at_start(place_) && place_.epoch > 0 && best_.epoch == place_.epoch;
  checkpoints_->write(contents(), best);
}

Checkpoint Trainer::contents() {
  Checkpoint checkpoint;
  Manifest& manifest = checkpoint.manifest;
  manifest = manifest_of(config_, splits_, task_->monitor());
  manifest.step = place_.step;
  manifest.epoch = place_.epoch;
  manifest.batch = static_cast<std::int64_t>(plan_.batches_done(place_).count());
  manifest.ended = end();
  if (manifest.ended == RunEnd::signal) manifest.signal = result_.signal;
  if (best_.epoch > 0) {
    manifest.best.epoch = best_.epoch;
    for (const auto& [name, value] : best_.values) {
      if (value) manifest.best.metrics["val/" + name] = *value;
    }
  }
  manifest.history = history_.values;
  manifest.window = {.seconds = window_.seconds, .waited = window_.waited};
  checkpoint.model = model_->state_dict();
  if (averaged_model_) checkpoint.ema = averaged_model_->state_dict();
  checkpoint.state = state();
  return checkpoint;
}

RunEnd Trainer::end() const {
  if (place_.epoch >= config_.train.epochs) return RunEnd::finished;
  if (stops_early()) return RunEnd::early_stopped;
  return result_.signal != 0 ? RunEnd::signal : RunEnd::running;
}

// All state that a bit-identical resume needs besides weights and place. The tensors share memory with the objects they
// belong to.
NamedTensors Trainer::state() {
  NamedTensors state;
  append(state, "optimizer.", optimizer_->state());
  append(state, "scaler.", train_step_.scaler().state());
  append(state, "metrics.epoch.", epoch_sums_.state());
  append(state, "metrics.window.", window_.sums.state());
  return state;
}

}  // namespace trainyard
