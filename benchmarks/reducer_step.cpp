// Measures the training step with c10d::Reducer, the class behind PyTorch's DistributedDataParallel, without Python:
//
//     reducer_step reducer --data.name synthetic --train.device cpu ...
//
// It is trainyard with one more command, which takes the settings and the standard input of `trainyard bench step
// --turns`. Net, loss, optimizer and process group are Trainyard's; a single rank needs no reducer. Batch-norm buffers
// are not averaged and no metrics computed, and the step is not captured in a CUDA graph. Before the first step,
// Trainyard's own step must find the same gradients.
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include <ATen/ops/cat.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "commands/bench.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "loader/open_pool.h"
#include "training/forward.h"
#include "training/recording.h"
#include "training/step_benchmark.h"
#include "training/trained_model.h"
#include "util/clock.h"
#include "util/error.h"

namespace trainyard {
namespace {

// Newer versions of LibTorch take one more argument.
template <typename... Arguments>
std::unique_ptr<c10d::Reducer> construct(const Arguments&... arguments) {
  if constexpr (std::is_constructible_v<c10d::Reducer, const Arguments&...>) {
    return std::make_unique<c10d::Reducer>(arguments...);
  } else {
    return std::make_unique<c10d::Reducer>(arguments..., std::vector<std::int64_t>{});
  }
}

// With DistributedDataParallel's defaults: one bucket until the first backward pass shows the order of the gradients.
std::unique_ptr<c10d::Reducer> make_reducer(const Optimizer& optimizer, const ProcessGroup& group, at::Device device) {
  const auto sender = c10::make_intrusive<c10d::ProcessGroup>(group.rank().rank, group.rank().world_size);
  sender->setBackend(device.type(),
                     device.is_cpu() ? c10d::ProcessGroup::BackendType::GLOO : c10d::ProcessGroup::BackendType::NCCL,
                     group.backend_of(device));
  std::vector<at::Tensor> parameters;
  for (const auto& [name, parameter] : optimizer.parameters()) parameters.push_back(parameter);
  const auto buckets =
      std::get<0>(c10d::compute_bucket_assignment_by_size(parameters, {std::numeric_limits<std::size_t>::max()}));
  return construct(parameters, buckets, sender, /*expect_sparse_gradients=*/std::vector<bool>(parameters.size(), false),
                   std::int64_t{c10d::kDefaultBucketBytesCap}, /*find_unused_parameters=*/false,
                   /*gradient_as_bucket_view=*/true, /*param_names=*/std::unordered_map<std::size_t, std::string>{},
                   std::int64_t{c10d::kDefaultFirstBucketBytes}, /*skip_all_reduce_unused_params=*/false,
                   /*use_python_reducer=*/false);
}

// In one new tensor.
at::Tensor gradients_of(const Optimizer& optimizer) {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& gradient : optimizer.gradients()) parts.push_back(gradient.flatten());
  return at::cat(parts);
}

class ReducerStep {
 public:
  ReducerStep(const Config& config, const SplitInfo& data, at::Device device, ProcessGroup& group)
      : config_(config),
        device_(device),
        group_(group),
        task_(make_task(config.task, task_data(data), device)),
        model_(initial_model()),
        optimizer_(make_optimizer(config.optimizer, *model_)) {
    at::manual_seed(config.train.seed + static_cast<std::uint64_t>(group.rank().rank));
    batch_ = task_->prepare(random_batch(data, config.loader.batch_size / group.rank().world_size, device));
    optimizer_->set_learning_rate(benchmark_learning_rate);
    if (!group.alone()) reducer_ = make_reducer(*optimizer_, group, device);
    require_gradients_of_trainyard();
  }

  double run(std::int64_t steps) {
    wait_for_device(device_);
    const std::int64_t start = monotonic_ns();
    for (std::int64_t step = 0; step < steps; ++step) {
      backward();
      optimizer_->step();
      group_.report_progress();
    }
    wait_for_device(device_);
    return seconds_since(start) / static_cast<double>(steps);
  }

 private:
  std::shared_ptr<Model> initial_model() const {
    at::manual_seed(config_.train.seed);
    std::shared_ptr<Model> model = new_model(config_.model, task_->model_input(), device_);
    model->train();
    return model;
  }

  void backward() {
    optimizer_->zero_grad();
    if (reducer_) reducer_->rebuild_buckets();  // only after the first pass
    const Loss loss = task_->loss(forward(*model_, *task_, batch_, config_.train.precision), batch_, Phase::train);
    if (reducer_) reducer_->prepare_for_backward({});
    loss.mean().backward();
  }

  at::Tensor gradients_of_trainyard() {
    const std::shared_ptr<Model> model = initial_model();
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(config_.optimizer, *model);
    const MetricSet metrics(task_->metrics(Phase::train));
    TrainStep step(*model, *optimizer, *task_, metrics, config_.train, group_);
    step(batch_, benchmark_learning_rate, {.samples = config_.loader.batch_size});
    return gradients_of(*optimizer);
  }

  // Before and after the buckets are rebuilt. Every rank has its own batch, so gradients that were not summed differ.
  void require_gradients_of_trainyard() {
    const double bound = config_.train.precision == Precision::fp32 ? 1e-4 : 0.05;
    const at::Tensor expected = gradients_of_trainyard();
    for (int pass = 0; pass < 2; ++pass) {
      backward();
      const at::Tensor gradients = gradients_of(*optimizer_);
      const at::Tensor largest = gradients.clone();
      group_.all_reduce_max(largest);
      const double difference = ((gradients - expected).norm() / expected.norm()).item<double>();
      const bool same = at::equal(largest, gradients);
      if (group_.all_agree(same && difference < bound)) continue;
      throw RunError("reducer", "the gradients of pass {} are {} on all ranks, {:.2g} from Trainyard's; allowed: {}",
                     pass, same ? "equal" : "not equal", difference, bound);
    }
  }

  const Config& config_;
  at::Device device_;
  ProcessGroup& group_;
  std::unique_ptr<Task> task_;
  std::shared_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  TensorDict batch_;
  std::unique_ptr<c10d::Reducer> reducer_;  // null: a single rank
};

class ReducerCommand : public Command {
 public:
  void bind(Arguments&) override {}

  int run(const Config& config) override {
    const Rank rank = rank_of_process();
    const SplitInfo data = describe(dataset_factory(config)()).at(static_cast<std::size_t>(Split::train));
    const at::Device device = prepare_device(config, run_check(device_needs_of(config, rank)));
    ProcessGroup group(rank, device, config.distributed.timeout);
    try {
      ReducerStep step(config, data, device, group);
      take_turns([&](std::int64_t steps) { return step.run(steps); }, /*answers=*/rank.is_first());
    } catch (const std::exception& error) {
      group.rethrow_first_cause(error);
    }
    group.shut_down();
    return 0;
  }
};

const CommandRegistry::Registration registered{"reducer", "measure the training step with c10d::Reducer",
                                               [] { return std::make_unique<ReducerCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
