// Starts a Trainer from a checkpoint, from weights or from the seed. Checkpoints are untrusted: everything read from
// one is checked against the run before it is used.

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include <ATen/Context.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/run_config.h"
#include "models/tensor_fit.h"
#include "training/initial_weights.h"
#include "training/require_batches.h"
#include "training/require_model_takes.h"
#include "training/trained_model.h"
#include "training/trainer.h"
#include "util/count_of.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr const char* where = "checkpoint";

// Removes the tensors of the gradient scaler unless both sides have them: a resumed run may have another precision.
void drop_scaler_unless_in_both(NamedTensors& a, NamedTensors& b) {
  const auto is_scaler = [](const auto& entry) { return entry.first.starts_with("scaler."); };
  if (std::any_of(a.begin(), a.end(), is_scaler) && std::any_of(b.begin(), b.end(), is_scaler)) return;
  std::erase_if(a, is_scaler);
  std::erase_if(b, is_scaler);
}

// The allowed values of a tensor in the state.
struct Bounds {
  std::string_view prefix;  // of the tensor's name
  double least;
  double most;
  bool whole;
};

void check_values(const NamedTensors& state, std::int64_t step, const std::string& path) {
  const std::array ranges = {
      Bounds{"optimizer.step.", 0, static_cast<double>(step), true},
      Bounds{"scaler.scale", FLT_MIN, FLT_MAX, false},
      Bounds{"scaler.growth_tracker", 0, static_cast<double>(step), true},
  };
  for (const auto& [name, tensor] : state) {
    for (const Bounds& range : ranges) {
      if (!name.starts_with(range.prefix)) continue;
      const auto value = tensor.to(at::kDouble).item<double>();
      if (value >= range.least && value <= range.most && (!range.whole || value == std::floor(value))) continue;
      throw RunError(where, "{}: tensor '{}' is {}; allowed: {}numbers from {} to {}", path, printable(name), value,
                     range.whole ? "whole " : "", range.least, range.most);
    }
  }
}

// The metrics of the best epoch, including those that is_better() compares: the monitored one and the loss.
MetricValues best_metrics(const BestEpoch& best, const Monitor& monitor, const std::string& path) {
  const std::string monitored = "val/" + monitor.metric;
  if (best.monitor != monitored || !best.metrics.contains(monitored) || !best.metrics.contains("val/loss")) {
    throw RunError(where, "{}: its best epoch was chosen by '{}' and has {} metrics; this run needs {} and val/loss",
                   path, printable(best.monitor), best.metrics.size(), monitored);
  }
  MetricValues values;
  for (const auto& [name, value] : best.metrics) {
    if (name.starts_with("val/")) values.emplace_back(name.substr(4), value);
  }
  return values;
}

// Checks untrusted sums: they are finite and include at most `max_samples` samples.
void check_sums(const std::string& name, const at::Tensor& sums, std::int64_t max_samples, const std::string& path) {
  const bool are_samples = name.ends_with(".samples");
  const at::Tensor values = sums.to(at::kDouble);
  const bool fits = values.isfinite().all().item<bool>() &&
                    (!are_samples || (values.ge(0).all().item<bool>() && values.equal(values.floor()) &&
                                      values.le(static_cast<double>(max_samples)).all().item<bool>()));
  if (fits) return;
  throw RunError(where, "{}: tensor '{}' holds {}; allowed: finite numbers{}", path, printable(name),
                 values.flatten()[0].item<double>(),
                 are_samples ? fmt::format(", of samples whole ones from 0 to {}", max_samples) : "");
}

}  // namespace

void Trainer::begin() {
  require_model_takes(*model_, config_, splits_);
  require_score_names(*task_);
  const bool reaches_last = plan_.completes_a_pass() && train_loader_.samples() == dataset_.size;
  require_batches(config_, dataset_.size, reaches_last, group_.rank().world_size, *model_, task_->model_input());
  if (config_.distributed.sync_batch_norm && !group_.alone()) {
    model_->synchronize_batch_norm([this](const at::Tensor& tensor) { group_.all_reduce(tensor); });
  }
  const CollectedMetrics collected(task_->collected_metrics());
  for (std::size_t split = static_cast<std::size_t>(Split::val); split < splits_.size(); ++split) {
    collected.require_memory(splits_[split].size);
  }
  const bool reads = group_.rank().is_first();
  if (reads && !folder_.checkpoint) load_initial_weights(*model_, config_.model);
  if (config_.train.ema_decay > 0) {
    averaged_model_ = new_model(config_.model, task_->model_input(), device_);
    averaged_model_->eval();
    ema_.emplace(*model_, *averaged_model_, config_.train.ema_decay);
  }
  if (reads && folder_.checkpoint) restore(*folder_.checkpoint);
  take_over_from_first_rank();
  begin_pass();
}

// A run that resumes within the first epoch of a pass has the sums of its begin.
void Trainer::begin_pass() {
  if (debug_.writes_to_scratch() || debug_.lr_finder != nullptr) return;
  pass_sums_ = MetricSums(metrics_, device_);
  const BatchRange done = plan_.batches_done(place_);
  const auto batches = static_cast<std::uint64_t>(train_loader_.batches());
  whole_pass_ = done.first % batches == 0 && done.count() < batches;
  if (whole_pass_) pass_sums_->add(epoch_sums_.tensor());
}

void Trainer::restore(const std::filesystem::path& path) {
  const Checkpoint checkpoint = read_checkpoint(path);
  const Manifest& manifest = checkpoint.manifest;
  if (manifest.dataset_fingerprint != dataset_.fingerprint) {
    throw UsageError("run.resume",
                     "{} was trained on other data: the fingerprint of {} was {:016x} and is {:016x}; "
                     "choose another run.name, or restore the data",
                     path.string(), printable(manifest.dataset), manifest.dataset_fingerprint, dataset_.fingerprint);
  }
  const SplitInfo& val = splits_.at(static_cast<std::size_t>(Split::val));
  if (manifest.val.fingerprint != val.fingerprint) {
    throw UsageError("run.resume",
                     "{} was judged by another val split, of {} with the fingerprint {:016x}; it is of {} now, "
                     "with {:016x}: choose another run.name, or restore the data, data.val and data.val_seed",
                     path.string(), count_of(manifest.val.samples, "sample"), manifest.val.fingerprint, val.size,
                     val.fingerprint);
  }
  if (checkpoint.state.empty()) {
    throw UsageError(
        "run.resume",
        "{} has weights alone, as an average of checkpoints: begin a new run from them, with model.weights = "
        "{}",
        path.string(), (path / Manifest::model_file).string());
  }
  restore_place(manifest, path);
  window_.seconds = manifest.window.seconds;
  window_.waited = manifest.window.waited;
  load_state_dict(*model_, checkpoint.model, (path / Manifest::model_file).string());
  if (averaged_model_) load_state_dict(*averaged_model_, checkpoint.ema, (path / Manifest::ema_file).string());
  restore_state(checkpoint.state, (path / Manifest::state_file).string());
}

// Throws RunError if the place in `manifest` is not one of this run.
void Trainer::restore_place(const Manifest& manifest, const std::filesystem::path& path) {
  if (manifest.best.epoch > 0) {
    best_ = {.values = best_metrics(manifest.best, task_->monitor(), path.string()), .epoch = manifest.best.epoch};
  }
  history_.first_epoch = manifest.epoch - std::ssize(manifest.history);
  history_.values = manifest.history;
  config_of(manifest, path);  // checks the number of epochs
  place_ = {.epoch = manifest.epoch, .step = manifest.step};
  if (!plan_.contains(place_)) {
    throw RunError(where, "{}: its manifest says step {} after {}; an epoch has {}", path.string(), place_.step,
                   count_of(place_.epoch, "epoch"), count_of(plan_.steps_per_epoch(), "step"));
  }
  const std::uint64_t batches = plan_.batches_done(place_).count();
  if (std::cmp_not_equal(manifest.batch, batches)) {
    throw RunError(where, "{}: its manifest says step {} after {} of an epoch; in this run it comes after {}",
                   path.string(), place_.step, count_of(manifest.batch, "batch", "batches"), batches);
  }
}

void Trainer::restore_state(const NamedTensors& given, const std::string& path) {
  NamedTensors wanted = state();
  NamedTensors read = given;
  drop_scaler_unless_in_both(wanted, read);
  const TensorFit fit(wanted, read, Types::same);
  if (!fit.whole()) {
    throw RunError(where, "{}: {}; were optimizer settings changed?", path, fit.problems("the run"));
  }
  check_values(read, place_.step, path);
  const std::int64_t batch_size = config_.loader.batch_size;
  const std::int64_t done = static_cast<std::int64_t>(plan_.batches_done(place_).count()) * batch_size;
  // The window covers the steps since the last line of metrics, possibly across the end of an epoch.
  const std::int64_t ever_done = place_.step * config_.train.accumulate * batch_size;
  for (const auto& [name, tensor] : read) {
    if (name.starts_with("metrics.epoch.")) check_sums(name, tensor, done, path);
    if (name.starts_with("metrics.window.")) check_sums(name, tensor, ever_done, path);
  }
  fit.copy();
}

// Copies weights and all other state from rank 0, which has created or read it, to the other ranks.
void Trainer::take_over_from_first_rank() {
  if (group_.alone()) return;
  const auto copy = [this](const at::Tensor& tensor) {
    const at::NoGradGuard no_grad;
    const at::Tensor contiguous = tensor.contiguous();
    group_.broadcast(contiguous);
    if (!contiguous.is_same(tensor)) tensor.copy_(contiguous);
  };
  for (const auto& [name, tensor] : model_->state_dict()) copy(tensor);
  if (averaged_model_) {
    for (const auto& [name, tensor] : averaged_model_->state_dict()) copy(tensor);
  }
  for (const auto& [name, tensor] : state()) copy(tensor);

  const std::string monitored = task_->monitor().metric;
  at::Tensor place =
      at::tensor({static_cast<double>(place_.epoch), static_cast<double>(place_.step), static_cast<double>(best_.epoch),
                  value_of(best_.values, monitored).value_or(0), value_of(best_.values, "loss").value_or(0),
                  static_cast<double>(history_.first_epoch), static_cast<double>(history_.values.size())},
                 at::kDouble);
  group_.broadcast(place);
  const double* const values = place.const_data_ptr<double>();
  history_.first_epoch = std::llround(values[5]);
  history_.values.resize(static_cast<std::size_t>(std::llround(values[6])));
  if (!history_.values.empty()) {
    group_.broadcast(at::from_blob(history_.values.data(), {std::ssize(history_.values)}, at::kDouble));
  }
  if (group_.rank().is_first()) return;
  place_ = {.epoch = std::llround(values[0]), .step = std::llround(values[1])};
  best_.epoch = std::llround(values[2]);
  if (best_.epoch > 0) best_.values = {{monitored, values[3]}, {"loss", values[4]}};
}

}  // namespace trainyard
