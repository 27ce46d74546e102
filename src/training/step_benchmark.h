/// Runs training steps on one random batch that stays on the device, to measure the step alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "config/config.h"
#include "distributed/process_group.h"
#include "loader/split.h"
#include "models/model.h"
#include "optim/ema.h"
#include "tasks/task.h"
#include "training/train_step.h"

namespace trainyard {

/// So small that the loss stays finite on any model, because arithmetic with NaN takes another time on some hardware.
constexpr double benchmark_learning_rate = 1e-3;

/// Returns `count` random samples of `data` on `device`, as the loader would deliver them: any values that the fields
/// allow. Samples that vary in length have their maximum length.
DeviceBatch random_batch(const SplitInfo& data, std::int64_t count, at::Device device);

/// The step is that of `trainyard train` with the same configuration: all train.accumulate batches of it, and the
/// averaged weights. The batch is normalized and augmented once. Used from one thread.
class StepBenchmark {
 public:
  /// Trains on samples like those of `data`, the split train. The ranks of `group`, which must outlive it, train
  /// together, each on its part of the batch. Throws what Trainer's constructor throws for model and task.
  StepBenchmark(const Config& config, const SplitInfo& data, at::Device device, ProcessGroup& group);
  StepBenchmark(const StepBenchmark&) = delete;
  StepBenchmark& operator=(const StepBenchmark&) = delete;

  /// Runs `steps` steps and waits for the device. Returns the mean seconds per step. All ranks call it alike.
  double run(std::int64_t steps);

  /// Samples of a step, over all ranks.
  std::int64_t samples() const { return std::int64_t{config_.train.accumulate} * config_.loader.batch_size; }
  const Model& model() const { return *model_; }
  const ModelInput& input() const { return input_; }

 private:
  const Config config_;
  ProcessGroup& group_;
  std::unique_ptr<Task> task_;
  MetricSet metrics_;
  ModelInput input_;
  std::shared_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::shared_ptr<Model> averaged_model_;  // none without train.ema_decay
  std::optional<Ema> ema_;
  TensorDict batch_;
  TrainStep step_;
  std::int64_t steps_ = 0;
};

}  // namespace trainyard
