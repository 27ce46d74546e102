// Tells how the training of a Trainer goes: metrics files, messages, progress and warnings.

#include <algorithm>
#include <utility>

#include "training/memory.h"
#include "training/trainer.h"
#include "util/count_of.h"
#include "util/log.h"

namespace trainyard {
namespace {

// Returns e.g. "train/loss 0.3124 train/accuracy 0.8891", with `note` after the loss.
std::string listed(const char* split, const MetricValues& values, const std::string& note = "") {
  std::string text;
  for (const auto& [name, value] : values) {
    text += fmt::format("{}{}/{} {}{}", text.empty() ? "" : " ", split, name, metric_text(value),
                        name == "loss" ? note : "");
  }
  return text;
}

}  // namespace

void Trainer::print_message(const std::string& line) {
  if (group_.rank().is_first()) progress_.print(line);
}

// Of what all ranks find.
void Trainer::warn(const std::string& message) const {
  if (group_.rank().is_first()) log_warning(message);
}

void Trainer::print_batch_norm_mode() {
  if (group_.alone() || model_->buffers().empty()) return;
  print_message(
      config_.distributed.sync_batch_norm
          ? "ranks   batch norm uses the statistics of the whole batch"
          : "ranks   batch norm uses the statistics of each rank's part of the batch (distributed.sync_batch_norm)");
}

void Trainer::print_length() {
  if (config_.train.steps_per_epoch == 0) return;
  print_message(fmt::format("epochs  of {}; the run is {:.3g} passes over the training data",
                            count_of(plan_.steps_per_epoch(), "step"), plan_.passes()));
}

// If the disk is full, lines of metrics are lost, but the run continues.
template <typename Metrics>
void Trainer::add_metrics(const Metrics& metrics) {
  if (!group_.rank().is_first()) return;
  require_not_moved(folder_.path, held_);
  try {
    files_->add(metrics);
  } catch (const RunError& error) {
    log_error("{}; step {} is missing there, training continues", error.what(), metrics.step);
  }
}

void Trainer::log_window(double lr) {
  const auto samples = static_cast<double>(window_.sums.samples());
  const MetricValues train = read(window_.sums);
  add_metrics(StepMetrics{.epoch = place_.epoch + 1,
                          .step = place_.step,
                          .train = train,
                          .lr = lr,
                          .samples_per_second = window_.seconds > 0 ? samples / window_.seconds : 0,
                          .data_wait = window_.seconds > 0 ? window_.waited / window_.seconds : 0});
  warn_of_small_share(samples);
  window_.sums.reset();
  window_.seconds = window_.waited = 0;
}

// The time of a step is the mean over the window. The first steps take longer, which at worst delays the warning.
void Trainer::warn_of_small_share(double samples) {
  if (!sum_times_ || samples == 0 || !group_.rank().is_first()) return;
  const std::int64_t batch_size = config_.loader.batch_size;
  const double steps = samples / static_cast<double>(batch_size * config_.train.accumulate);
  const std::int64_t ranks = group_.rank().world_size;
  const std::string warning =
      warning_of_small_share(*sum_times_, window_.seconds / steps, (batch_size + ranks - 1) / ranks);
  if (warning.empty()) return;
  log_warning(warning);
  sum_times_.reset();
}

void Trainer::warn_of(const Scores& val) {
  const Monitor monitor = task_->monitor();
  const std::optional<double> monitored = value_of(val.values, monitor.metric);
  if (!is_finite(val.values)) {
    warn(fmt::format(
        "[training] val/loss is {} after epoch {}: the model has diverged, or a sample is far from all others "
        "(trainyard eval names the worst); such an epoch is never the best",
        value_of(val.values, "loss").value_or(0), place_.epoch + 1));
  } else if (!can_be_best(val.values, monitor)) {
    warn(fmt::format(
        "[training] val/{} is {} after epoch {}: {}; such an epoch is never the best", monitor.metric,
        metric_text(monitored), place_.epoch + 1,
        monitored ? "outputs of the model are not finite" : "no sample of val decides it, see trainyard data"));
  } else if (has_diverged(val.values, best_.values)) {
    warn(fmt::format(
        "[training] val/loss is {} after epoch {} and was {} after epoch {}: the model has diverged. If it recovers, "
        "it ends worse than it could: try a lower optimizer.lr, a longer schedule.warmup_epochs or "
        "train.clip_grad_norm",
        metric_text(value_of(val.values, "loss")), place_.epoch + 1, metric_text(value_of(best_.values, "loss")),
        best_.epoch));
  }
  if (std::exchange(warned_of_val_, true)) return;
  for (const std::string& warning : val.warnings) warn(fmt::format("[data] val: {}", warning));
}

// The warnings about train follow from the sums of the first whole pass that this process trains, which may take many
// epochs or be a part of one.
void Trainer::add_to_pass(const DeviceBatch& batch, const at::Tensor& sums) {
  if (!pass_sums_) return;
  if (batch.number == 0) {
    pass_sums_->reset();
    whole_pass_ = true;
  }
  pass_sums_->add(sums);
  if (whole_pass_ && batch.number + 1 == train_loader_.batches()) warn_of_train();
}

void Trainer::warn_of_train() {
  const std::int64_t samples = pass_sums_->samples();
  const std::string part = std::cmp_equal(samples, dataset_.size)
                               ? ""
                               : fmt::format(" ({} of {})", samples, count_of(dataset_.size, "sample"));
  for (const std::string& warning : pass_sums_->warnings()) warn(fmt::format("[data] train{}: {}", part, warning));
  pass_sums_.reset();
}

void Trainer::log_epoch(const MetricValues& train, const MetricValues& val) {
  // After a resume that only repeats the evaluation, the speed of the epoch's training is not known.
  const bool trained = epoch_samples_ > 0;
  const double rate = static_cast<double>(epoch_samples_) / epoch_seconds_;
  const std::vector<double>& waits = result_.wait_of_ranks;
  add_metrics(EpochMetrics{.epoch = place_.epoch,
                           .step = place_.step,
                           .train = train,
                           .val = val,
                           .lr = lr_of(place_.step - 1),
                           .samples_per_second = trained ? std::optional(rate) : std::nullopt,
                           .data_wait = trained ? std::optional(std::ranges::max(waits)) : std::nullopt});
  add_metrics(RankMetrics{.epoch = place_.epoch, .step = place_.step, .data_wait = waits});
  add_metrics(LoadingMetrics{.epoch = place_.epoch, .step = place_.step, .stats = result_.loading});
  const std::string extras = task_->training_extras();
  const std::string speed = trained ? fmt::format("  {:.0f}/s  {}", rate, format_duration(epoch_seconds_)) : "";
  print_message(fmt::format("epoch {}/{}  {}  {}{}{}", place_.epoch, config_.train.epochs,
                            listed("train", train, extras.empty() ? "" : fmt::format(" (with {})", extras)),
                            listed("val", val), best_.epoch == place_.epoch ? " (best)" : "", speed));
}

ProgressState Trainer::progress(const MetricValues& values) const {
  const double rate = static_cast<double>(epoch_samples_) / epoch_seconds_;
  const double samples_left =
      static_cast<double>(plan_.batches_to_end(place_).count()) * static_cast<double>(config_.loader.batch_size);
  return {.epoch = place_.epoch + 1,
          .epochs = config_.train.epochs,
          .step = plan_.steps_done(place_),
          .steps = plan_.steps_per_epoch(),
          .metrics = values,
          .samples_per_second = rate,
          .data_wait = epoch_waited_ / epoch_seconds_,
          .seconds_left = rate > 0 ? std::optional(samples_left / rate) : std::nullopt,
          .gpu_memory = peak_gpu_memory(device_)};
}

}  // namespace trainyard
