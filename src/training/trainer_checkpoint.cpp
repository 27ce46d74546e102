// What a trainer leaves on the disk, and how it resumes from there.

#include <cmath>

#include <ATen/Context.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_torch.h"
#include "models/check_forward.h"
#include "training/saved_run.h"
#include "training/trained_model.h"
#include "training/trainer.h"

namespace trainyard {
namespace {

void append(NamedTensors& state, const std::string& prefix, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) state.emplace_back(prefix + name, tensor);
}

NamedTensors without_prefix(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) result.emplace_back(name.substr(prefix.size()), tensor);
  }
  return result;
}

at::Tensor tensor_named(const NamedTensors& tensors, const std::string& name, const std::filesystem::path& origin) {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
  }
  throw RunError("checkpoint", "{} has no tensor '{}' in its state", origin.string(), name);
}

double scalar_named(const Manifest& manifest, const std::string& name) {
  const auto found = manifest.scalars.find(name);
  if (found == manifest.scalars.end()) throw RunError("checkpoint", "the manifest has no scalar '{}'", name);
  return found->second;
}

// One that older checkpoints lack.
double scalar_or(double otherwise, const Manifest& manifest, const std::string& name) {
  return manifest.scalars.contains(name) ? manifest.scalars.at(name) : otherwise;
}

at::Generator generator_of(at::Device device) { return at::globalContext().defaultGenerator(device); }

}  // namespace

void Trainer::begin() {
  require_batches();
  if (!folder_.checkpoint && !config_.model.weights.empty()) {
    const std::filesystem::path given = config_.model.weights;
    const std::string path = follow_link(given.parent_path()) / given.filename();
    if (!std::filesystem::is_regular_file(path)) throw UsageError("model.weights", "there is no file {}", path);
    load_weights(*model_, load_safetensors(path), config_.model.reset_head, path);
  }
  if (config_.train.ema_decay > 0) {
    averaged_model_ = new_model(config_.model, dataset_.sample.shape, dataset_.class_names.size(), device_);
    averaged_model_->eval();
    ema_.emplace(*model_, *averaged_model_, config_.train.ema_decay);
  }
  if (folder_.checkpoint) restore(*folder_.checkpoint);
}

// An epoch has at least one batch, and its smallest can be trained on.
void Trainer::require_batches() const {
  const auto size = static_cast<std::int64_t>(dataset_.size);
  const std::int64_t batch_size = config_.loader.batch_size;
  if (train_loader_.batches() == 0) {
    throw UsageError("loader.drop_last",
                     "the training split has {} samples, fewer than one batch of {}, and loader.drop_last leaves out "
                     "incomplete batches: lower loader.batch_size",
                     size, batch_size);
  }
  const bool is_last_reached = batches_per_epoch() == train_loader_.batches();
  const std::int64_t rest = config_.loader.drop_last || !is_last_reached ? 0 : size % batch_size;
  if ((rest == 0 ? batch_size : rest) != 1) return;
  const std::string failure =
      failure_on_one_image(*model_, model_input(dataset_.sample.shape, dataset_.class_names.size()));
  if (failure.empty()) return;
  throw UsageError("loader.batch_size",
                   "{} samples in batches of {} leave a batch of one sample, on which {} cannot be trained ({}): set "
                   "loader.drop_last = true, or change loader.batch_size",
                   size, batch_size, config_.model.name, failure);
}

void Trainer::prove_saving() {
  require_readable(config_);
  trainyard::prove_saving(folder_.checkpoints(), contents(), config_.checkpoint, saves_of(config_, steps_per_epoch()));
}

void Trainer::save() {
  judge_losses(/*all=*/true);  // weights that a loss of NaN has touched are not for keeping
  require_in_place(folder_.path, held_);
  const bool best = place_.batch == 0 && place_.best_epoch == place_.epoch;
  checkpoints_.write(contents(), best);
}

Checkpoint Trainer::contents() {
  Checkpoint checkpoint;
  Manifest& manifest = checkpoint.manifest;
  manifest = manifest_of(config_, dataset_);
  manifest.step = place_.step;
  manifest.epoch = place_.epoch;
  manifest.scalars = {{"batch", static_cast<double>(place_.batch)},
                      {"best_accuracy", place_.best_accuracy},
                      {"best_loss", place_.best_loss},
                      {"best_epoch", static_cast<double>(place_.best_epoch)},
                      {"window_seconds", window_.seconds},
                      {"window_waited", window_.waited}};
  checkpoint.model = model_->state_dict();
  if (averaged_model_) checkpoint.ema = averaged_model_->state_dict();
  append(checkpoint.state, "optimizer.", optimizer_->state());
  append(checkpoint.state, "scaler.", train_step_.scaler().state());
  checkpoint.state.emplace_back("epoch_sums", epoch_sums_.snapshot());
  checkpoint.state.emplace_back("window_sums", window_.sums.snapshot());
  checkpoint.state.emplace_back("generator.cpu", generator_of(at::kCPU).get_state());
  if (device_.is_cuda()) checkpoint.state.emplace_back("generator.cuda", generator_of(device_).get_state());
  return checkpoint;
}

void Trainer::restore(const std::filesystem::path& path) {
  const Checkpoint checkpoint = read_checkpoint(path);
  const Manifest& manifest = checkpoint.manifest;
  if (manifest.dataset_fingerprint != dataset_.fingerprint) {
    throw UsageError("run.resume",
                     "{} was trained on other data: the fingerprint of {} was {:016x} and is {:016x}; "
                     "choose another run.name, or restore the data",
                     path.string(), manifest.dataset, manifest.dataset_fingerprint, dataset_.fingerprint);
  }
  load_state_dict(*model_, checkpoint.model, path.string());
  if (averaged_model_) load_state_dict(*averaged_model_, checkpoint.ema, path.string());
  optimizer_->load_state(without_prefix("optimizer.", checkpoint.state));
  train_step_.scaler().load_state(without_prefix("scaler.", checkpoint.state));
  epoch_sums_.restore(tensor_named(checkpoint.state, "epoch_sums", path));
  for (const auto& [name, tensor] : checkpoint.state) {  // older checkpoints have none: an empty window
    if (name == "window_sums") window_.sums.restore(tensor);
  }
  window_.seconds = scalar_or(0, manifest, "window_seconds");
  window_.waited = scalar_or(0, manifest, "window_waited");
  generator_of(at::kCPU).set_state(tensor_named(checkpoint.state, "generator.cpu", path));
  if (device_.is_cuda()) {
    // A run that moves from the CPU to a GPU continues with the generator as seeded.
    for (const auto& [name, tensor] : checkpoint.state) {
      if (name == "generator.cuda") generator_of(device_).set_state(tensor);
    }
  }
  place_ = {.epoch = manifest.epoch,
            .batch = static_cast<std::int64_t>(scalar_named(manifest, "batch")),
            .step = manifest.step,
            .best_accuracy = scalar_named(manifest, "best_accuracy"),
            .best_loss = scalar_or(HUGE_VAL, manifest, "best_loss"),
            .best_epoch = static_cast<std::int64_t>(scalar_named(manifest, "best_epoch"))};
}

}  // namespace trainyard
