#include "training/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "config/config_file.h"
#include "loader/open_pool.h"
#include "models/freeze.h"
#include "training/evaluate.h"
#include "training/forward.h"
#include "training/lr_finder.h"
#include "training/memory.h"
#include "training/seed.h"
#include "training/trained_model.h"
#include "util/clock.h"
#include "util/first_few.h"
#include "util/random.h"

namespace trainyard {
namespace {

DataLoaderOptions rank_loader_options(const Config& config, const Rank& rank) {
  return {.rank = rank.rank, .world_size = rank.world_size, .batch_size = config.loader.batch_size};
}

DataLoaderOptions train_loader_options(const Config& config, const Rank& rank, const DebugOptions& debug) {
  DataLoaderOptions options = rank_loader_options(config, rank);
  options.shuffle = true;
  options.drop_last = config.loader.drop_last;
  options.max_batches = debug.train_batches();
  options.repeat = debug.overfit_batches > 0;
  return options;
}

DataLoaderOptions val_loader_options(const Config& config, const Rank& rank, const DebugOptions& debug) {
  DataLoaderOptions options = rank_loader_options(config, rank);
  options.max_batches = debug.val_batches();
  return options;
}

bool shapes_may_differ(const Config& config, const SplitInfo& split) {
  const auto varies = [](const Field& field) { return field.varies; };
  return config.loader.on_worker_error == OnWorkerError::skip ||
         std::any_of(split.fields.begin(), split.fields.end(), varies);
}

std::filesystem::path trace_file(const std::filesystem::path& folder, const Rank& rank) {
  return folder / (rank.is_first() ? "trace.json" : fmt::format("trace-rank{}.json", rank.rank));
}

}  // namespace

PoolOptions rank_pool_options(const Config& config, const Rank& rank) {
  PoolOptions options = pool_options(config);
  options.batch_size = (options.batch_size + rank.world_size - 1) / rank.world_size;
  if (options.workers > 0) options.workers = std::max(rank.share_of(options.workers), 1);
  options.local_ranks = {.run = fmt::format("{}:{} {} {}", rank.address, rank.port, rank.node, rank.restarts),
                         .rank = rank.local_rank,
                         .count = rank.local_world_size,
                         .timeout_seconds = config.distributed.timeout};
  return options;
}

Trainer::Trainer(const Config& config, WorkerPool& pool, at::Device device, ProcessGroup& group,
                 const RunFolder& folder, const DebugOptions& debug)
    : config_(config),
      debug_(debug),
      group_(group),
      folder_(folder),
      device_(device),
      registered_(device.is_cuda() ? pool.memory() : std::span<std::byte>()),
      splits_(pool.splits()),
      dataset_(splits_.at(static_cast<std::size_t>(Split::train))),
      task_(make_task(config.task, task_data(dataset_), device)),
      metrics_(task_->metrics(Phase::train)),
      train_loader_(pool, Split::train, train_loader_options(config, group.rank(), debug), device),
      val_loader_(pool, Split::val, val_loader_options(config, group.rank(), debug), device),
      plan_(config.train, train_loader_.batches()),
      model_((seed_generators(device, config.train.seed), new_model(config.model, task_->model_input(), device))),
      optimizer_(make_optimizer(config.optimizer, *model_)),
      train_step_(*model_, *optimizer_, *task_, metrics_, config_.train, group),
      history_{.higher_is_better = task_->monitor().higher_is_better},
      epoch_sums_(metrics_, device),
      window_{.sums = MetricSums(metrics_, device)},
      profile_(debug.profile.empty() ? std::nullopt : std::optional(parse_step_range(debug.profile)),
               trace_file(folder.path, group.rank()), device) {
  begin();
  evaluation_step_.emplace(
      averaged_model_ ? *averaged_model_ : *model_, *task_, config_.train.precision,
      EvaluationStep::Options{.cuda_graph = config_.train.cuda_graph, .warns = group_.rank().is_first()});
  if (!group_.alone() && shapes_may_differ(config_, dataset_)) {
    train_step_.launch_without_graph(
        "samples vary in length, or single ones may be skipped, so that the ranks cannot know one another's shapes");
  }
}

void Trainer::open_folder() {
  if (!group_.rank().is_first()) return;
  if (!finished()) prove_saving();
  checkpoints_.emplace(folder_.checkpoints(), config_.checkpoint);
  held_ = lock_run_folder(folder_.path);
  if (finished()) return;  // the existing files describe the run as it was trained
  mark_as_begun(folder_);
  const std::string resolved = to_toml(config_);
  write_file_atomically(folder_.path / "config.toml", [&](FileWriter& file) { file.write(resolved); });
  files_.emplace(folder_.path, place_.step, MetricNames{.train = metrics_.names(), .val = score_names(*task_)});
}

RunResult Trainer::run(StopToken stop) {
  stop_ = stop;
  agreement_.emplace(group_, stop);
  if (!finished()) {
    print_length();
    print_batch_norm_mode();
  }
  const std::string frozen = finished() ? "" : describe_frozen(*model_);
  if (!frozen.empty()) print_message("frozen  " + frozen);
  if (config_.loader.cache == SampleCache::gpu && !finished()) keep_data_on_device();
  if (!group_.alone() && !finished()) sum_times_ = train_step_.time_sums();
  while (!finished()) {
    const StopAgreement::Requests asked = agreement_->now();
    result_.signal = asked.signal;
    if (asked.signal != 0) break;
    save_asked_ = save_asked_ || asked.save;
    if (train_epoch()) finish_epoch();
    save();
    if (result_.signal != 0) break;
  }
  if (pass_sums_ && finished() && !plan_.has_completed_a_pass(place_)) warn_of_train();
  if (checkpoints_) checkpoints_->finish();
  result_.epochs = place_.epoch;
  result_.steps = place_.step;
  result_.monitor = task_->monitor().metric;
  result_.best = value_of(best_.values, result_.monitor).value_or(0);
  result_.best_epoch = best_.epoch;
  result_.early_stopped = end() == RunEnd::early_stopped;
  return result_;
}

bool Trainer::stops_early() const {
  if (debug_.lr_finder != nullptr && debug_.lr_finder->diverged()) return true;
  const std::int64_t patience = config_.train.patience;
  return patience > 0 && plan_.is_at_start(place_) && place_.epoch - best_.epoch >= patience;
}

void Trainer::keep_data_on_device() {
  const std::int64_t start = monotonic_ns();
  HostGroup sharing;  // of one rank, if everything fits on each GPU
  if (!group_.alone() && !group_.all_agree(resident_bytes(splits_) <= free_gpu_memory(device_))) {
    sharing = {.rank = group_.rank().local_rank,
               .count = group_.rank().local_world_size,
               .timeout_seconds = config_.distributed.timeout,
               .all_gather = [this](const std::string& text) { return group_.all_gather_on_host(text); }};
  }
  for (DeviceLoader* const loader : {&train_loader_, &val_loader_}) loader->keep_on_device(sharing, stop_);
  if (stop_.stop_requested()) return;
  const std::string place = sharing.count > 1 ? fmt::format("the {} GPUs of each host", sharing.count) : device_.str();
  print_message(fmt::format("{} + {} samples put on {} in {}", train_loader_.split().size, val_loader_.split().size,
                            place, format_duration(seconds_since(start))));
}

// Trains from the current place to the end of its epoch. Returns false if it was stopped before.
bool Trainer::train_epoch() {
  epoch_start_ = monotonic_ns();
  train_loader_.follow_with(&val_loader_, val_loader_.range_of(0));
  train_loader_.start(plan_.batches_left(place_));
  model_->train();
  epoch_seconds_ = epoch_waited_ = 0;
  epoch_samples_ = 0;
  const auto rank = static_cast<std::uint64_t>(group_.rank().rank);

  while (std::optional<DeviceBatch> batch = train_loader_.next()) {
    const double lr = lr_of(place_.step);
    const StepPart part{.first = plan_.begins_step(batch->number),
                        .last = plan_.ends_step(batch->number),
                        .samples = train_loader_.samples_of(batch->number)};
    const auto pass = static_cast<std::uint64_t>(batch->epoch);
    const auto number = static_cast<std::uint64_t>(batch->number);
    seed_generators(device_, key_of({config_.train.seed, key_of("step"), pass, number, rank}));  // e.g. for dropout
    TensorDict prepared;
    if (batch->count > 0) {
      prepared = prepare(*task_, *batch, config_.train.precision);
      task_->augment(prepared, {.seed = config_.train.seed, .epoch = pass, .number = number});
    }
    const StepResult result = train_step_(prepared, lr, part);
    epoch_sums_.add(result.sums);
    add_to_pass(*batch, result.sums);
    window_.sums.add(result.sums);
    group_.report_progress();
    losses_.add(result.loss, {batch->epoch, batch->number, place_.step + 1, lr});
    check_losses();
    epoch_samples_ += group_.alone() ? batch->count : part.samples;
    take_time();
    if (!part.last) continue;
    ++place_.step;
    if (ema_) ema_->update(place_.step);

    if (line_is_due()) log_window(lr);
    if (group_.rank().is_first() && progress_.due()) progress_.show(progress(read(epoch_sums_)));
    profile_.step_done();
    if (stop_is_requested() || stops_early()) return false;
    if (save_asked_) print_message(fmt::format("SIGUSR1: saving step {}", place_.step));
    if (std::exchange(save_asked_, false) || checkpoint_is_due()) save();
  }
  return true;
}

void Trainer::take_time() {
  const double seconds = seconds_since(epoch_start_);
  const double waited = train_loader_.waited_seconds();
  window_.seconds += seconds - std::exchange(epoch_seconds_, seconds);
  window_.waited += waited - std::exchange(epoch_waited_, waited);
}

// Waits for the device, which works behind the CPU, and counts that time.
MetricValues Trainer::read(const MetricSums& sums) {
  MetricValues values = sums.values();
  take_time();
  return values;
}

// Every train.log_every steps, at the last step of an epoch that has no line yet, and at the last step of the run.
bool Trainer::line_is_due() const {
  const std::int64_t every = config_.train.log_every;
  if (place_.step % every == 0) return true;
  if (!plan_.is_at_end(place_)) return false;
  const std::int64_t epoch_begin = place_.step - plan_.steps_per_epoch();
  return place_.step / every == epoch_begin / every || place_.epoch + 1 == config_.train.epochs;
}

// Only within an epoch: its end is always saved.
bool Trainer::checkpoint_is_due() const {
  const int every = config_.checkpoint.every_steps;
  return every > 0 && place_.step % every == 0 && !plan_.is_at_end(place_);
}

// Those that have arrived.
void Trainer::check_losses() {
  while (const std::optional<LossWatch::Known> known = losses_.next()) check_loss(*known);
}

void Trainer::check_all_losses() {
  while (const std::optional<LossWatch::Known> known = losses_.wait_for_next()) check_loss(*known);
}

// Ends the run or warns if the loss is not finite.
void Trainer::check_loss(const LossWatch::Known& known) {
  constexpr std::size_t most_samples = 512;  // in the message
  const auto& [origin, loss] = known;        // of the current epoch
  if (debug_.lr_finder != nullptr) return debug_.lr_finder->add(origin.learning_rate, loss);
  if (std::isfinite(loss)) return;
  const auto pass = static_cast<std::uint64_t>(origin.epoch);
  const BatchRange epoch{plan_.batches_done(place_).first, plan_.batches_left(place_).end};
  const std::uint64_t batch = train_loader_.range_of(pass).first + static_cast<std::uint64_t>(origin.batch);
  const std::string what =
      fmt::format("the loss is {} at step {} (epoch {}, batch {} of {}, learning rate {}); samples of the batch: {}",
                  loss, origin.step, place_.epoch + 1, batch - epoch.first + 1, epoch.count(), origin.learning_rate,
                  first_few(train_loader_.indices_of_batch(pass, origin.batch), most_samples));
  if (config_.train.on_nonfinite == OnNonfinite::stop) {
    throw RunError(
        "training",
        "{}. Nothing after the last checkpoint is saved. Try a lower optimizer.lr, a schedule.warmup_epochs, "
        "train.clip_grad_norm, or train.on_nonfinite = skip",
        what);
  }
  warn(fmt::format("[training] {}. The step changed nothing", what));
}

// Evaluates and ends the epoch. If the evaluation is stopped, the place stays behind the epoch's last batch, so that a
// resumed run begins with the evaluation.
void Trainer::finish_epoch() {
  check_all_losses();
  const MetricValues train = read(epoch_sums_);
  result_.training_seconds += epoch_seconds_;
  result_.data_wait += epoch_waited_;
  result_.samples += epoch_samples_;
  result_.loading = train_loader_.stats();
  result_.wait_of_ranks = wait_of_ranks();
  const bool ends = place_.epoch + 1 == config_.train.epochs;  // an early stop only discards what was prefetched
  val_loader_.follow_with(ends ? nullptr : &train_loader_,
                          plan_.batches_left({.epoch = place_.epoch + 1, .step = place_.step}));
  seed_generators(device_, key_of({config_.train.seed, key_of("evaluation"), static_cast<std::uint64_t>(place_.epoch),
                                   static_cast<std::uint64_t>(group_.rank().rank)}));
  const std::optional<Scores> scores =
      evaluate(*evaluation_step_, val_loader_, group_, {.stop = [this] { return stop_is_requested(); }});
  if (!scores) return;
  const Scores& val = *scores;

  warn_of(val);
  ++place_.epoch;
  epoch_sums_.reset();
  const Monitor monitor = task_->monitor();
  const bool best =
      can_be_best(val.values, monitor) && (best_.epoch == 0 || is_better(val.values, best_.values, monitor));
  if (best) best_ = {.values = val.values, .epoch = place_.epoch};
  result_.last = val;
  log_epoch(train, val.values);
  add_to_history(val.values);
}

// Says so if this changes the learning rate of the next step.
void Trainer::add_to_history(const MetricValues& val) {
  const Monitor monitor = task_->monitor();
  const auto next_lr = [this] { return finished() ? 0 : lr_of(place_.step); };
  const double before = next_lr();
  history_.values.push_back(can_be_best(val, monitor) ? *value_of(val, monitor.metric) : std::nan(""));
  const double after = next_lr();
  if (after == before) return;
  print_message(fmt::format("lr      {:.6g} instead of {:.6g}, as schedule.name = {} follows val/{}", after, before,
                            config_.schedule.name, monitor.metric));
}

// In every step, and in every batch of an evaluation.
bool Trainer::stop_is_requested() {
  const StopAgreement::Requests asked = agreement_->in_step();
  result_.signal = asked.signal;
  save_asked_ = save_asked_ || asked.save;
  return asked.signal != 0;
}

std::vector<double> Trainer::wait_of_ranks() {
  if (epoch_samples_ == 0) return {};  // the same on all ranks
  const at::Tensor own = at::full({1}, epoch_waited_ / epoch_seconds_, at::kDouble);
  std::vector<double> shares;
  for (const at::Tensor& share : group_.all_gather(own)) shares.push_back(share.item<double>());
  return shares;
}

double Trainer::lr_of(std::int64_t step) const {
  return learning_rate(config_.schedule, config_.optimizer.lr, step, plan_.steps_per_epoch(), plan_.steps(), history_);
}

}  // namespace trainyard
