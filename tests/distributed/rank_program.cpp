// trainyard with three more commands and two models, for tests of training on several ranks:
//
//   train_in_float64   trains in float64, where several ranks and one process differ only by rounding, and writes
//                      the result of each rank
//   train_on_cpus      trains as train does on several GPUs, through the launcher, but on the CPU
//   ranks_of_host      prints the ranks on this one's host
//   trapping           a model whose third forward pass on rank 1 reads out of range
//   stuck              a model that the rank in the environment variable STUCK_RANK never finishes building
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>

#include "checkpoint/safetensors_torch.h"
#include "commands/command.h"
#include "distributed/launch.h"
#include "distributed/process_group.h"
#include "distributed/rank.h"
#include "loader/open_pool.h"
#include "loader_torch/device_loader.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "training/train_step.h"
#include "training/trained_model.h"
#include "training/trainer.h"
#include "util/output.h"

namespace trainyard {
namespace {

class TrainInFloat64 : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("--weights", weights_, "file to write, its name followed by the rank");
    arguments.add("--nan_in_batch", nan_in_batch_, "batch of an epoch whose second sample is made NaN; -1: none");
  }

  int run(const Config& config) override {
    const Rank rank = rank_of_process();
    WorkerPool pool = open_pool(config, rank_pool_options(config, rank));
    at::set_num_threads(1);
    const SplitInfo& split = pool.splits().front();
    ProcessGroup group(rank, at::kCPU, config.distributed.timeout);
    const std::unique_ptr<Task> task = make_task(config.task, task_data(split), at::kCPU);
    at::manual_seed(config.train.seed);
    const std::shared_ptr<Model> model = new_model(config.model, task->model_input(), at::kCPU);
    for (const auto& [name, tensor] : model->state_dict()) to_double(at::Tensor(tensor));
    if (config.distributed.sync_batch_norm && !group.alone()) {
      model->synchronize_batch_norm([&](const at::Tensor& tensor) { group.all_reduce(tensor); });
    }
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(config.optimizer, *model);
    const MetricSet metrics(task->metrics(Phase::train));
    MetricSums sums(metrics, at::kCPU);
    TrainStep step(*model, *optimizer, *task, metrics, config.train, group);
    DeviceLoader batches(
        pool, Split::train,
        {.shuffle = true, .rank = rank.rank, .world_size = rank.world_size, .batch_size = config.loader.batch_size},
        at::kCPU);
    for (int epoch = 0; epoch < config.train.epochs; ++epoch) {
      batches.start_epoch(static_cast<std::uint64_t>(epoch));
      while (const std::optional<DeviceBatch> batch = batches.next()) {
        const StepPart part = part_of(*batch, batches, config.train.accumulate);
        sums.add(step(prepared(*task, *batch, rank), config.optimizer.lr, part).sums);
      }
    }
    NamedTensors result = model->state_dict();
    result.emplace_back("metrics", sums.tensor());
    for (const auto& [name, tensor] : step.scaler().state()) result.emplace_back("scaler." + name, tensor);
    save_safetensors(fmt::format("{}{}", weights_, rank.rank), result);
    group.shut_down();
    return 0;
  }

 private:
  static void to_double(at::Tensor tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.detach().to(at::kDouble));
  }

  static StepPart part_of(const DeviceBatch& batch, const DeviceLoader& batches, std::int64_t accumulate) {
    const std::int64_t next = batch.number + 1;
    return {.first = batch.number % accumulate == 0,
            .last = next % accumulate == 0 || next == batches.batches(),
            .samples = batches.samples_of(batch.number)};
  }

  TensorDict prepared(const Task& task, const DeviceBatch& batch, const Rank& rank) const {
    if (batch.count == 0) return {};
    TensorDict result = task.prepare(batch);
    for (auto& [name, tensor] : result) {
      if (!tensor.is_floating_point()) continue;
      tensor = tensor.to(at::kDouble);
      const bool has_second = rank.rank == 1 % rank.world_size;
      if (batch.number == nan_in_batch_ && has_second) tensor[1 / rank.world_size].fill_(NAN);
    }
    return result;
  }

  std::string weights_;
  std::int64_t nan_in_batch_ = -1;
};

class TrainOnCpus : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("--processes", processes_, "ranks");
    train_->bind(arguments);
  }

  bool product_is_output() const override { return false; }

  int run(const Config& config) override {
    if (!rank_of_process().launcher.empty()) return train_->run(config);
    return launch({.processes = processes_, .max_restarts = config.distributed.max_restarts});
  }

 private:
  int processes_ = 2;
  std::unique_ptr<Command> train_ = CommandRegistry::make("train");
};

class RanksOfHost : public Command {
 public:
  void bind(Arguments& /*arguments*/) override {}

  int run(const Config& config) override {
    ProcessGroup group(rank_of_process(), at::kCPU, config.distributed.timeout);
    for (const std::string& rank : group.all_gather_on_host(std::to_string(group.rank().rank)))
      print("rank {}\n", rank);
    group.shut_down();
    return 0;
  }
};

class Trapping : public ModelModule {
 public:
  explicit Trapping(const ModelInput& input) : rank_(rank_of_process().rank) {
    const auto [channels, height, width] = input.image();
    fc_ = register_module("fc", torch::nn::Linear(channels * height * width, input.outputs));
  }

  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor scores = fc_(batch.at("image").flatten(1));
    if (rank_ != 1 || ++passes_ != 3) return {{"logits", scores}};
    const at::Tensor out_of_range =
        at::full({scores.size(0), scores.size(1)}, 1 << 20, scores.options().dtype(at::kLong));
    return {{"logits", scores.gather(1, out_of_range)}};
  }

 private:
  int rank_;
  int passes_ = 0;
  torch::nn::Linear fc_ = nullptr;
};

const ModelRegistry::Registration trapping{
    "trapping", "reads out of range",
    [](const ModelConfig&, const ModelInput& input) { return std::make_shared<Trapping>(input); }, __FILE__};
const ModelRegistry::Registration stuck{
    "stuck", "is never built",
    [](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
      const char* const rank = std::getenv("STUCK_RANK");  // NOLINT(concurrency-mt-unsafe): nothing sets one
      while (rank != nullptr && rank == std::to_string(rank_of_process().rank)) pause();
      return ModelRegistry::make("linear", config, input);
    },
    __FILE__};
const CommandRegistry::Registration in_float64{"train_in_float64", "train in float64",
                                               [] { return std::make_unique<TrainInFloat64>(); }, __FILE__};
const CommandRegistry::Registration ranks_of_host{"ranks_of_host", "print the ranks on this one's host",
                                                  [] { return std::make_unique<RanksOfHost>(); }, __FILE__};
const CommandRegistry::Registration on_cpus{"train_on_cpus", "train as on several GPUs, on the CPU",
                                            [] { return std::make_unique<TrainOnCpus>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
