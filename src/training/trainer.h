/// Trains a whole run, from the start or from a checkpoint: epochs of steps, each followed by an evaluation and a
/// checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "checkpoint/checkpoint_writer.h"
#include "config/config.h"
#include "distributed/process_group.h"
#include "distributed/stop_agreement.h"
#include "loader_torch/device_loader.h"
#include "loader_torch/registered_memory.h"
#include "logging/metrics_files.h"
#include "logging/progress.h"
#include "models/model.h"
#include "optim/ema.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tasks/task.h"
#include "training/debug_options.h"
#include "training/evaluate.h"
#include "training/loss_watch.h"
#include "training/profile.h"
#include "training/run_folder.h"
#include "training/run_plan.h"
#include "training/train_step.h"
#include "util/stop_token.h"
#include "util/system.h"

namespace trainyard {

/// The result of a run.
struct RunResult {
  int signal = 0;              ///< the signal that stopped the run, after saving; 0: the run is finished
  bool early_stopped = false;  ///< finished before its last epoch (train.patience)
  std::int64_t epochs = 0;
  std::int64_t steps = 0;
  std::optional<Scores> last;  ///< of the last evaluation, on val; none if nothing was left to do
  std::string monitor;         ///< the metric that selects the best epoch
  double best = 0;             ///< its best value on val, over all epochs
  std::int64_t best_epoch = 0;
  double training_seconds = 0;  ///< in this process, without evaluation
  std::int64_t samples = 0;     ///< trained in this process
  double data_wait = 0;         ///< seconds of training_seconds spent waiting for data
  /// For each rank, the fraction of the last epoch that it spent waiting for data, 0 to 1; empty if this process has
  /// only evaluated that epoch.
  std::vector<double> wait_of_ranks;
  EpochStats loading;  ///< of the last epoch's training
};

/// The options of a rank's pool, which loads the rank's part of each batch with its share of the host's loader.workers.
PoolOptions rank_pool_options(const Config& config, const Rank& rank);

/// Trains `config.model` for `config.task` on the train split of `pool` and evaluates on val after each epoch, on
/// `device`. The best checkpoint and train.patience follow val; test is never read. All files are written to `folder`.
/// The ranks of `group` train together, each on its own `device`: rank 0 reads checkpoints, and writes and prints for
/// all; `pool` loads each rank's part of the batches (rank_pool_options). On the CPU, and on a GPU with
/// train.deterministic, the same configuration yields bit-identical losses, with any number of workers, in one run or
/// resumed. Used from one thread.
class Trainer {
 public:
  /// Builds the model, or reads it from a checkpoint; writes nothing. `pool` and `group` must outlive it.
  Trainer(const Config& config, WorkerPool& pool, at::Device device, ProcessGroup& group, const RunFolder& folder,
          const DebugOptions& debug = {});

  /// Locks the folder and writes config.toml, unless the run is finished. Call it once, before run(). Throws UsageError
  /// if another process is training in the folder, and what prove_saving() throws if the run could not be saved there,
  /// both with nothing written.
  void open_folder();

  /// A stop requested through `stop` ends it at the next step, or at the next batch of an evaluation.
  RunResult run(StopToken stop = {});

  /// Whether all epochs are trained, or train.patience has ended the run. If true from the start, nothing is written.
  bool finished() const { return place_.epoch >= config_.train.epochs || stops_early(); }

 private:
  struct Best {
    MetricValues values;     // on val; empty: none yet
    std::int64_t epoch = 0;  // from 1
  };

  // Totals since the last line of metrics.jsonl.
  struct Window {
    MetricSums sums;
    double seconds = 0;
    double waited = 0;
  };

  // trainer.cpp
  bool stops_early() const;
  void keep_data_on_device();
  bool train_epoch();
  void finish_epoch();
  void add_to_history(const MetricValues& val);
  bool stop_is_requested();
  std::vector<double> wait_of_ranks();
  void take_time();
  MetricValues read(const MetricSums& sums);
  bool line_is_due() const;
  bool checkpoint_is_due() const;
  void check_losses();
  void check_all_losses();
  void check_loss(const LossWatch::Known& known);
  double lr_of(std::int64_t step) const;

  // trainer_log.cpp
  void print_message(const std::string& line);
  void warn(const std::string& message) const;
  void print_batch_norm_mode();
  void print_length();
  template <typename Metrics>
  void add_metrics(const Metrics& metrics);
  void log_window(double lr);
  void warn_of_small_share(double samples);
  void warn_of(const Scores& val);
  void add_to_pass(const DeviceBatch& batch, const at::Tensor& sums);
  void warn_of_train();
  void log_epoch(const MetricValues& train, const MetricValues& val);
  ProgressState progress(const MetricValues& values) const;

  // trainer_checkpoint.cpp
  void prove_saving();
  void save();
  Checkpoint contents();
  RunEnd end() const;
  NamedTensors state();

  // trainer_resume.cpp
  void begin();  // from the folder's checkpoint, from model.weights or from the seed
  void begin_pass();
  void restore(const std::filesystem::path& checkpoint);
  void take_over_from_first_rank();
  void restore_place(const Manifest& manifest, const std::filesystem::path& checkpoint);
  void restore_state(const NamedTensors& given, const std::string& path);

  const Config config_;
  const DebugOptions debug_;
  ProcessGroup& group_;
  RunFolder folder_;
  UniqueFd held_;  // rank 0: the lock on the folder
  at::Device device_;
  RegisteredMemory registered_;
  const std::vector<SplitInfo>& splits_;
  const SplitInfo& dataset_;  // train
  std::unique_ptr<Task> task_;
  MetricSet metrics_;  // while training
  DeviceLoader train_loader_;
  DeviceLoader val_loader_;
  const RunPlan plan_;
  std::shared_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  TrainStep train_step_;
  std::shared_ptr<Model> averaged_model_;  // none without train.ema_decay
  std::optional<Ema> ema_;
  std::optional<EvaluationStep> evaluation_step_;  // of the averaged model, if there is one
  LossWatch losses_;
  std::optional<SumTimes> sum_times_;  // until a warning about them is printed; none on a single rank

  Place place_;
  Best best_;
  ValHistory history_;
  MetricSums epoch_sums_;
  std::optional<MetricSums> pass_sums_;  // of the pass, until the warnings about a whole one are given; none in a trial
  bool whole_pass_ = false;              // pass_sums_ has all batches of the pass so far
  Window window_;
  std::int64_t epoch_start_ = 0;  // monotonic_ns()
  bool save_asked_ = false;       // by SIGUSR1, since the last step that was saved for it
  double epoch_seconds_ = 0;      // of the current epoch, in this process
  double epoch_waited_ = 0;
  std::int64_t epoch_samples_ = 0;
  RunResult result_;
  bool warned_of_val_ = false;
  StopToken stop_;
  std::optional<StopAgreement> agreement_;  // while running
  // Rank 0 only:
  std::optional<CheckpointWriter> checkpoints_;
  std::optional<MetricsFiles> files_;
  Progress progress_;
  Profile profile_;
};

}  // namespace trainyard
