// Times only the training step, on a constant batch: train_step DEVICE PRECISION MODEL SIZE CHANNELS BATCH THREADS
//
// As one of several ranks (distributed/rank.h) it trains with the others, each on its own batch; DEVICE cuda then means
// the GPU of its local rank, and only rank 0 answers. For the model gpt2, SIZE is the number of tokens of a sample and
// CHANNELS that of the vocabulary.
//
// Reads a number of steps per line from stdin, runs them, and answers with the mean seconds per step.
// benchmarks/train_step.py alternates between it and PyTorch.

#include "training/train_step.h"

#include <chrono>
#include <iostream>
#include <optional>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "config/flags.h"
#include "distributed/process_group.h"
#include "training/memory.h"
#include "training/precision.h"

using namespace trainyard;

namespace {

// What a model is trained on.
struct Work {
  TaskData data;
  TensorDict batch;
};

Work images(std::int64_t size, std::int64_t channels, std::int64_t count) {
  Work work;
  work.data.fields = {{.name = "image", .shape = {size, size, channels}},
                      {.name = "label", .dtype = DType::int64, .values = ValueRange{.count = 10}}};
  work.data.class_names.assign(10, "class");
  work.batch = {{"image", at::randn({count, channels, size, size}).contiguous(at::MemoryFormat::ChannelsLast)},
                {"label", at::randint(0, 10, {count}, at::kLong)}};
  return work;
}

Work text(std::int64_t context, std::int64_t vocabulary, std::int64_t count) {
  const at::Tensor tokens = at::randint(0, vocabulary, {count, context + 1}, at::kLong);
  Work work;
  work.data.fields = {
      {.name = "tokens", .dtype = DType::int32, .shape = {context + 1}, .values = ValueRange{.count = vocabulary}}};
  work.batch = {{"tokens", tokens.narrow(1, 0, context)}, {"target", tokens.narrow(1, 1, context)}};
  return work;
}

}  // namespace

int main(int, char** argv) {
  const Rank rank = rank_of_process();
  at::Device device(argv[1]);
  if (device.is_cuda()) {
    if (!device.has_index()) device.set_index(static_cast<c10::DeviceIndex>(rank.local_rank));
    c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  }
  ProcessGroup group(rank, device, /*timeout_seconds=*/600);
  const std::string name = argv[3];
  const std::int64_t size = std::stoll(argv[4]);
  std::vector<std::string> flags = {"--train.precision", argv[2], "--model.name", name};
  if (name.starts_with("vit")) flags.insert(flags.end(), {"--model.vit.patch_size", "8"});
  if (name == "gpt2") {
    flags.insert(flags.end(), {"--task.name", "language_model", "--optimizer.name", "adamw", "--optimizer.adamw.beta2",
                               "0.95", "--optimizer.weight_decay", "0.1", "--optimizer.decay_bias_norm", "false"});
  }
  if (name.starts_with("resnet") && size <= 64) flags.insert(flags.end(), {"--model.resnet.stem", "small"});
  Config settings;
  SettingFlags(flags).apply_to(settings);
  const TrainConfig& config = settings.train;
  const std::int64_t channels = std::stoll(argv[5]);
  const std::int64_t count = std::stoll(argv[6]);
  at::set_num_threads(std::stoi(argv[7]));
  if (device.is_cpu()) keep_freed_memory();
  set_float32_arithmetic(config.precision);
  at::globalContext().setBenchmarkCuDNN(true);

  at::manual_seed(0);
  Work work = name == "gpt2" ? text(size, channels, count) : images(size, channels, count);
  for (auto& [field, tensor] : work.batch) tensor = tensor.to(device);
  const auto task = make_task(settings.task, work.data, device);
  const MetricSet metrics(task->metrics(Phase::train));
  const auto model = make_model(settings.model, task->model_input());
  model->to(device);
  {
    const at::NoGradGuard no_grad;
    for (at::Tensor& parameter : model->parameters()) {
      if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
    }
  }
  const auto optimizer = make_optimizer(settings.optimizer, *model);
  std::optional<TrainStep> step(std::in_place, *model, *optimizer, *task, metrics, config, group);
  for (int steps = 0; std::cin >> steps;) {
    const auto start = std::chrono::steady_clock::now();
    at::Tensor loss;
    for (int i = 0; i < steps; ++i) loss = (*step)(work.batch, 1e-3, {.samples = count * rank.world_size}).loss;
    loss.item<float>();  // synchronizes with a GPU
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (rank.is_first()) std::cout << taken.count() / steps << std::endl;
  }
  step.reset();  // NCCL does not shut down while there are graphs with its kernels
  group.shut_down();
}
