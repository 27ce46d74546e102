#include "training/step_benchmark.h"

#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "loader_torch/slot_tensors.h"
#include "training/forward.h"
#include "training/recording.h"
#include "training/seed.h"
#include "training/trained_model.h"
#include "util/clock.h"

namespace trainyard {
namespace {

// Integers without a range are pixels if they are bytes; otherwise nothing says which are allowed, except 0.
std::int64_t values_of(const Field& field) {
  if (field.values) return field.values->count;
  return field.dtype == DType::uint8 ? 256 : 1;
}

std::int64_t samples_of_rank(const Config& config, const Rank& rank) {
  const std::int64_t total = config.loader.batch_size;
  return total / rank.world_size + (rank.rank < total % rank.world_size ? 1 : 0);
}

}  // namespace

DeviceBatch random_batch(const SplitInfo& data, std::int64_t count, at::Device device) {
  DeviceBatch batch{.fields = {}, .number = 0, .count = count};
  for (std::size_t i = 0; i < data.fields.size(); ++i) {
    const Field& field = data.fields[i];
    std::vector<std::int64_t> shape = field.shape;
    shape.insert(shape.begin(), count);
    const at::TensorOptions options = at::TensorOptions(device).dtype(scalar_type(field.dtype));
    DeviceField& made = batch.fields.emplace_back(DeviceField{.name = field.name, .data = {}});
    made.data =
        is_floating_point(field.dtype) ? at::randn(shape, options) : at::randint(values_of(field), shape, options);
    if (!field.varies) continue;
    if (!data.padded[i]) made.data = made.data.flatten(0, 1);
    const at::TensorOptions rows = at::TensorOptions(device).dtype(at::kLong);
    made.rows = at::full({count}, field.shape[0], rows);
    made.begins = at::arange(count + 1, rows) * field.shape[0];
  }
  return batch;
}

StepBenchmark::StepBenchmark(const Config& config, const SplitInfo& data, at::Device device, ProcessGroup& group)
    : config_(config),
      group_(group),
      task_(make_task(config.task, task_data(data), device)),
      metrics_(task_->metrics(Phase::train)),
      input_(task_->model_input()),
      model_((seed_generators(device, config.train.seed), new_model(config.model, input_, device))),
      optimizer_(make_optimizer(config.optimizer, *model_)),
      step_(*model_, *optimizer_, *task_, metrics_, config_.train, group) {
  if (config.distributed.sync_batch_norm && !group_.alone()) {
    model_->synchronize_batch_norm([this](const at::Tensor& tensor) { group_.all_reduce(tensor); });
  }
  if (config.train.ema_decay > 0) {
    averaged_model_ = new_model(config.model, input_, device);
    ema_.emplace(*model_, *averaged_model_, config.train.ema_decay);
  }
  model_->train();
  const std::int64_t count = samples_of_rank(config, group.rank());
  if (count == 0) return;
  batch_ = prepare(*task_, random_batch(data, count, device), config.train.precision);
  task_->augment(batch_, {.seed = config.train.seed, .epoch = 0, .number = 0});
}

double StepBenchmark::run(std::int64_t steps) {
  const at::Device device = model_->parameters().front().device();
  wait_for_device(device);
  const std::int64_t start = monotonic_ns();
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::int64_t part = 0; part < config_.train.accumulate; ++part) {
      step_(batch_, benchmark_learning_rate,
            {.first = part == 0, .last = part + 1 == config_.train.accumulate, .samples = config_.loader.batch_size});
    }
    if (ema_) ema_->update(++steps_);
    group_.report_progress();
  }
  wait_for_device(device);
  return seconds_since(start) / static_cast<double>(steps);
}

}  // namespace trainyard
