#include "training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "config/bind.h"
#include "optim/schedule.h"
#include "training/evaluate.h"
#include "training/memory.h"
#include "training/stop_signal.h"
#include "training/trained_model.h"

namespace trainyard {
namespace {

constexpr std::size_t kKeptCheckpoints = 2;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

NamedTensors with_prefix(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) result.emplace_back(prefix + name, tensor);
  return result;
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

}  // namespace

Trainer::Trainer(const Config& config, WorkerPool& pool, at::Device device, const RunFolder& folder, const Aids& aids)
    : config_(config),
      aids_(aids),
      folder_(folder),
      device_(device),
      registered_(device.is_cuda() ? pool.arena().memory() : std::span<std::byte>()),
      train_loader_(pool, Split::train, {.shuffle = true}),
      test_loader_(pool, Split::test),
      dataset_(train_loader_.split()),
      normalize_(dataset_.channel_mean, dataset_.channel_std, device),
      model_((at::manual_seed(config.train.seed),
              new_model(config.model, dataset_.sample.shape, dataset_.class_names.size(), device))),
      optimizer_(make_optimizer(config.optimizer, *model_)),
      train_step_(*model_, *optimizer_, config_.train),
      epoch_sums_(device),
      profile_(aids.profile.empty() ? std::nullopt : std::optional(parse_step_range(aids.profile)),
               folder.path / "trace.json", device) {
  if (folder_.checkpoint) restore(*folder_.checkpoint);
  std::filesystem::create_directories(folder_.path);
  const std::string resolved = to_toml(config_);
  write_file_atomically(folder_.path / "config.toml", [&](FileWriter& file) { file.write(resolved); });
  files_.emplace(folder_.path, place_.step);
}

RunResult Trainer::run() {
  while (place_.epoch < config_.train.epochs && result_.signal == 0) {
    if (train_epoch()) {
      finish_epoch();
    } else {
      result_.signal = StopSignal::received();
    }
    save();
  }
  result_.epochs = place_.epoch;
  result_.steps = place_.step;
  result_.best_accuracy = place_.best_accuracy;
  result_.best_epoch = place_.best_epoch;
  return result_;
}

// Trains from the place to the end of its epoch; false when a signal ended it before.
bool Trainer::train_epoch() {
  // An epoch's batches are a function of its number, augmentation included.
  const std::int64_t data_epoch = aids_.overfit_batches > 0 ? 0 : place_.epoch;
  train_loader_.start_epoch(static_cast<std::uint64_t>(data_epoch), static_cast<std::uint64_t>(place_.batch));
  DeviceLoader batches(train_loader_, normalize_, device_);
  model_->train();
  epoch_seconds_ = epoch_waited_ = 0;
  epoch_samples_ = 0;
  ScoreSums window(device_);
  const Clock::time_point epoch_start = Clock::now();
  double window_seconds = 0;
  double window_waited = 0;

  while (const std::optional<DeviceBatch> batch = batches.next()) {
    const double lr = lr_of(place_.step);
    const TrainStep::Result result = train_step_(*batch, lr);
    epoch_sums_.add(result.loss, result.logits, batch->labels);
    window.add(result.loss, result.logits, batch->labels);
    ++place_.step;
    ++place_.batch;
    epoch_samples_ += batch->count;
    epoch_seconds_ = seconds_since(epoch_start);
    epoch_waited_ = train_loader_.waited_seconds();

    if (place_.step % config_.train.log_every == 0) {
      log_window(window, epoch_seconds_ - window_seconds, epoch_waited_ - window_waited, lr);
      window = ScoreSums(device_);
      window_seconds = epoch_seconds_;
      window_waited = epoch_waited_;
    }
    if (progress_.due()) progress_.show(progress(epoch_sums_.mean()));
    profile_.step_done();
    if (StopSignal::received() != 0) return false;
    if (place_.batch == steps_per_epoch()) break;
  }
  return true;
}

void Trainer::finish_epoch() {
  const Scores train = epoch_sums_.mean();  // waits for the device: only now is the epoch's time known
  result_.training_seconds += epoch_seconds_;
  result_.data_wait += epoch_waited_;
  result_.samples += epoch_samples_;
  result_.loading = train_loader_.stats();
  const Scores val =
      evaluate(*model_, test_loader_, normalize_, device_, config_.train.precision, aids_.test_batches());

  ++place_.epoch;
  place_.batch = 0;
  epoch_sums_ = ScoreSums(device_);
  const bool best = place_.best_epoch == 0 || val.accuracy > place_.best_accuracy;
  if (best) {
    place_.best_accuracy = val.accuracy;
    place_.best_epoch = place_.epoch;
  }
  result_.last = val;
  const double rate = epoch_seconds_ > 0 ? static_cast<double>(epoch_samples_) / epoch_seconds_ : 0;
  files_->add(EpochMetrics{.epoch = place_.epoch,
                           .step = place_.step,
                           .train_loss = train.loss,
                           .train_accuracy = train.accuracy,
                           .val_loss = val.loss,
                           .val_accuracy = val.accuracy,
                           .lr = lr_of(place_.step - 1),
                           .samples_per_second = rate,
                           .data_wait = epoch_seconds_ > 0 ? epoch_waited_ / epoch_seconds_ : 0});
  progress_.print(fmt::format("epoch {}/{}  train loss {:.4f} acc {:.4f}  test loss {:.4f} acc {:.4f}{}  {:.0f}/s  {}",
                              place_.epoch, config_.train.epochs, train.loss, train.accuracy, val.loss, val.accuracy,
                              best ? " (best)" : "", rate, format_duration(epoch_seconds_)));
}

void Trainer::log_window(const ScoreSums& window, double seconds, double waited, double lr) {
  const Scores scores = window.mean();
  if (!std::isfinite(scores.loss)) {
    throw RunError("training",
                   "the loss is {} at step {} (epoch {}, learning rate {}); the checkpoint before is whole. "
                   "Try a lower optimizer.lr or a schedule.warmup_epochs",
                   scores.loss, place_.step, place_.epoch + 1, lr);
  }
  files_->add(StepMetrics{.epoch = place_.epoch + 1,
                          .step = place_.step,
                          .loss = scores.loss,
                          .accuracy = scores.accuracy,
                          .lr = lr,
                          .samples_per_second = seconds > 0 ? static_cast<double>(scores.samples) / seconds : 0,
                          .data_wait = seconds > 0 ? waited / seconds : 0});
}

ProgressState Trainer::progress(const Scores& scores) const {
  const std::int64_t steps = steps_per_epoch();
  const double rate = static_cast<double>(epoch_samples_) / epoch_seconds_;
  const auto samples_left =
      static_cast<double>((config_.train.epochs - place_.epoch) * steps - place_.batch) * config_.loader.batch_size;
  return {.epoch = place_.epoch + 1,
          .epochs = config_.train.epochs,
          .step = place_.batch,
          .steps = steps,
          .loss = scores.loss,
          .accuracy = scores.accuracy,
          .samples_per_second = rate,
          .data_wait = epoch_waited_ / epoch_seconds_,
          .seconds_left = samples_left / rate,
          .gpu_memory = peak_gpu_memory(device_)};
}

std::int64_t Trainer::steps_per_epoch() const {
  return std::min(static_cast<std::int64_t>(train_loader_.batches()), aids_.train_batches());
}

double Trainer::lr_of(std::int64_t step) const {
  return learning_rate(config_.schedule, config_.optimizer.lr, step, steps_per_epoch(),
                       steps_per_epoch() * config_.train.epochs);
}

void Trainer::save() {
  Checkpoint checkpoint;
  Manifest& manifest = checkpoint.manifest;
  manifest.step = place_.step;
  manifest.epoch = place_.epoch;
  manifest.model = config_.model.name;
  manifest.dataset = config_.data.name;
  manifest.dataset_fingerprint = dataset_.fingerprint;
  manifest.class_names = dataset_.class_names;
  manifest.sample_shape = dataset_.sample.shape;
  manifest.channel_mean = dataset_.channel_mean;
  manifest.channel_std = dataset_.channel_std;
  manifest.config = to_toml(config_);
  manifest.scalars = {{"batch", static_cast<double>(place_.batch)},
                      {"best_accuracy", place_.best_accuracy},
                      {"best_epoch", static_cast<double>(place_.best_epoch)}};
  checkpoint.model = state_dict(*model_);
  checkpoint.state = with_prefix("optimizer.", optimizer_->state());
  checkpoint.state.emplace_back("epoch_sums", epoch_sums_.snapshot());
  checkpoint.state.emplace_back("generator.cpu", at::globalContext().defaultGenerator(at::kCPU).get_state());
  if (device_.is_cuda()) {
    checkpoint.state.emplace_back("generator.cuda", at::globalContext().defaultGenerator(device_).get_state());
  }
  const std::filesystem::path written = write_checkpoint(folder_.checkpoints(), checkpoint);
  point_link(folder_.checkpoints(), "last", written);
  if (place_.batch == 0 && place_.best_epoch == place_.epoch) point_link(folder_.checkpoints(), "best", written);
  prune(folder_.checkpoints(), kKeptCheckpoints);
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
  optimizer_->load_state(without_prefix("optimizer.", checkpoint.state));
  epoch_sums_.restore(tensor_named(checkpoint.state, "epoch_sums", path));
  at::Generator cpu_generator = at::globalContext().defaultGenerator(at::kCPU);
  cpu_generator.set_state(tensor_named(checkpoint.state, "generator.cpu", path));
  if (device_.is_cuda()) {
    // A run that moves from the CPU to a GPU goes on with the generator as seeded.
    for (const auto& [name, tensor] : checkpoint.state) {
      if (name != "generator.cuda") continue;
      at::Generator gpu_generator = at::globalContext().defaultGenerator(device_);
      gpu_generator.set_state(tensor);
    }
  }
  place_ = {.epoch = manifest.epoch,
            .batch = static_cast<std::int64_t>(scalar_named(manifest, "batch")),
            .step = manifest.step,
            .best_accuracy = scalar_named(manifest, "best_accuracy"),
            .best_epoch = static_cast<std::int64_t>(scalar_named(manifest, "best_epoch"))};
}

}  // namespace trainyard
