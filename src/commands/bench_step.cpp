// trainyard bench step: measures the training step on a random batch, and splits its time by kind of operation.

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include "commands/bench.h"
#include "commands/machine.h"
#include "commands/rank_facts.h"
#include "distributed/outcome.h"
#include "distributed/process_group.h"
#include "distributed/rank.h"
#include "distributed/require_same.h"
#include "loader/open_pool.h"
#include "training/memory.h"
#include "training/product_rate.h"
#include "training/recording.h"
#include "training/step_benchmark.h"
#include "training/step_times.h"
#include "training/trained_model.h"
#include "util/count_of.h"

namespace trainyard {
namespace {

constexpr std::size_t most_operations = 50;  // in the JSON

struct Measured {
  std::int64_t samples = 0;     // per step
  std::int64_t steps = 0;       // per round
  std::vector<double> seconds;  // per step, for each round
  std::uint64_t peak_memory = 0;
  StepTimes times;
};

// The first steps allocate memory, and on a GPU select kernels and capture the step.
std::int64_t warm_up_steps(at::Device device) { return device.is_cpu() ? 3 : 10; }

// As many steps as take `seconds`, the same on all ranks.
std::int64_t steps_of_round(double seconds, double step, ProcessGroup& group) {
  const double steps = std::clamp(std::ceil(seconds / step), 1.0, static_cast<double>(most_steps));
  return std::stoll(group.broadcast(fmt::format("{:.0f}", steps)));
}

StepTimes record(StepBenchmark& benchmark, at::Device device, std::int64_t steps) {
  Recording recording(device, InputShapes::omitted);
  benchmark.run(steps);
  return split_times(calls_of(*recording.stop()), steps);
}

Measured measure(const Config& config, const SplitInfo& data, at::Device device, ProcessGroup& group,
                 const BenchOptions& options) {
  Measured measured;
  std::optional<MemoryCount> memory;  // on a GPU the allocator itself counts
  if (device.is_cpu()) memory.emplace(device);
  StepBenchmark benchmark(config, data, device, group);
  benchmark.run(warm_up_steps(device));
  measured.peak_memory = memory ? static_cast<std::uint64_t>(memory->peak()) : peak_gpu_memory(device);
  memory.reset();
  measured.samples = benchmark.samples();
  measured.steps = steps_of_round(options.seconds, benchmark.run(1), group);
  for (int round = 0; round < options.rounds; ++round) measured.seconds.push_back(benchmark.run(measured.steps));
  constexpr std::int64_t enough_to_record = 10;
  measured.times = record(benchmark, device, std::min(measured.steps, enough_to_record));
  return measured;
}

std::vector<double> rates_of(const Measured& measured) {
  std::vector<double> rates;
  for (const double seconds : measured.seconds) rates.push_back(static_cast<double>(measured.samples) / seconds);
  return rates;
}

std::string device_text(at::Device device, const CheckResult& check, const Rank& rank) {
  std::string name = device.str();
  if (device.is_cpu()) name += " with " + count_of(at::get_num_threads(), "thread");
  for (const DeviceFacts& gpu : check.facts.devices) {
    if (device.is_cuda() && gpu.index == device.index()) name += " " + gpu.name;
  }
  return rank.alone() ? name : fmt::format("{}, {} ranks", name, rank.world_size);
}

std::string speed_text(double flops) {
  return flops < 1e12 ? fmt::format("{:.3g} GFLOP/s", flops * 1e-9) : fmt::format("{:.4g} TFLOP/s", flops * 1e-12);
}

// The time that nothing runs cannot be recorded: while recording, operations take longer to launch.
double idle_seconds(const StepTimes& times, double step) { return std::max(step - times.busy(), 0.0); }

void print_times(const BenchOptions& options, const StepTimes& times, double step) {
  const double total = times.busy() + idle_seconds(times, step);
  if (total <= 0) return;
  std::string name = "ms per step";
  const auto row = [&](const char* kind, double seconds) {
    bench_row(options, name, fmt::format("{:<20}{:>10.3f}{:>7.1f} %", kind, 1e3 * seconds, 100 * seconds / total));
    name.clear();
  };
  for (std::size_t i = 0; i < operation_kinds; ++i) {
    if (times.of_kind[i] > 0) row(to_string(static_cast<OperationKind>(i)), times.of_kind[i]);
  }
  row("nothing runs", idle_seconds(times, step));
}

nlohmann::ordered_json times_json(const StepTimes& times, double step) {
  nlohmann::ordered_json kinds = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < operation_kinds; ++i) {
    kinds[to_string(static_cast<OperationKind>(i))] = times.of_kind[i];
  }
  kinds["nothing runs"] = idle_seconds(times, step);
  nlohmann::ordered_json operations = nlohmann::ordered_json::array();
  for (const StepTimes::Operation& operation : times.operations) {
    if (operations.size() == most_operations) break;
    operations.push_back({{"name", operation.name},
                          {"kind", to_string(operation.kind)},
                          {"calls", operation.calls},
                          {"seconds", operation.seconds}});
  }
  return {{"kinds", kinds}, {"operations", operations}};
}

// The time that the products of a step take at the rate of one large product.
struct Floor {
  double flops = 0;  // of a step on one rank
  double flops_per_second = 0;

  double seconds() const { return flops / flops_per_second; }
};

Floor floor_of(const Config& config, const SplitInfo& data, at::Device device, double samples) {
  const auto task = make_task(config.task, task_data(data), at::kCPU);
  const auto model = new_model(config.model, task->model_input(), at::kCPU);
  return {.flops = 2 * static_cast<double>(training_multiply_adds(*model, task->model_input())) * samples,
          .flops_per_second = product_rate(device, config.train.precision)};
}

void print_measured(const BenchOptions& options, const Measured& measured, const Floor& floor) {
  const auto row = [&](const std::string& name, const std::string& value) { bench_row(options, name, value); };
  const Spread step = spread_of(measured.seconds);
  row("rate", rates_text(rates_of(measured), "samples/s"));
  row("step", fmt::format("{:.3f} ms ({:.3f} to {:.3f}), rounds of {}", 1e3 * step.median, 1e3 * step.least,
                          1e3 * step.most, count_of(measured.steps, "step")));
  row("memory", fmt::format("{:.1f} MiB of tensors at most", static_cast<double>(measured.peak_memory) / (1 << 20)));
  row("floor", fmt::format("{:.3f} ms, {:.1f} % of the step: {:.3g} GFLOP of products", 1e3 * floor.seconds(),
                           100 * floor.seconds() / step.median, floor.flops * 1e-9));
  row("", fmt::format("at {}, the rate of one large product", speed_text(floor.flops_per_second)));
  print_times(options, measured.times, step.median);
}

nlohmann::ordered_json figures_of(const Config& config, const Measured& measured, const Floor& floor,
                                  const std::string& device, int ranks) {
  const double step = spread_of(measured.seconds).median;
  nlohmann::ordered_json figures = {{"benchmark", "step"},
                                    {"model", config.model.name},
                                    {"device", device},
                                    {"precision", word(config.train.precision)},
                                    {"ranks", ranks},
                                    {"samples_per_step", measured.samples},
                                    {"steps_per_round", measured.steps},
                                    {"samples_per_second", spread_json(rates_of(measured))},
                                    {"seconds_per_step", spread_json(measured.seconds)},
                                    {"peak_memory_bytes", measured.peak_memory},
                                    {"floor",
                                     {{"flops_per_step", floor.flops},
                                      {"flops_per_second", floor.flops_per_second},
                                      {"seconds", floor.seconds()},
                                      {"share", floor.seconds() / step}}}};
  figures.update(times_json(measured.times, step));
  return figures;
}

}  // namespace

nlohmann::ordered_json bench_step(const Config& config, const BenchOptions& options) {
  const Rank rank = rank_of_process();
  end_with_launcher();
  const std::vector<SplitInfo> splits = describe(dataset_factory(config)());
  const SplitInfo& data = splits.at(static_cast<std::size_t>(Split::train));
  const CheckResult check = run_check(device_needs_of(config, rank), {.driver_failure = options.driver_failure});
  const at::Device device = prepare_device(config, check);
  BenchOptions rank_options = options;
  rank_options.quiet = options.quiet || !rank.is_first();
  const auto row = [&](const std::string& name, const std::string& value) { bench_row(rank_options, name, value); };
  const std::string device_name = device_text(device, check, rank);

  row("model", fmt::format("{}, {}, {}", config.model.name, word(config.train.precision), device_name));
  row("batch", fmt::format("{} x {}", config.loader.batch_size, describe(data.fields)));
  const Measured measured = with_explained_errors(check, device, [&] {
    ProcessGroup group(rank, device, config.distributed.timeout);
    try {
      if (!group.alone()) require_same(group, rank_facts(config, splits));
      Measured result;
      if (options.turns) {
        StepBenchmark benchmark(config, data, device, group);
        take_turns([&](std::int64_t steps) { return benchmark.run(steps); }, /*answers=*/rank.is_first());
      } else {
        result = measure(config, data, device, group, options);
      }
      group.shut_down();
      return result;
    } catch (const std::exception& error) {
      group.rethrow_first_cause(error);
    }
  });
  if (options.turns || !rank.is_first()) return nullptr;

  const Floor floor = floor_of(config, data, device, static_cast<double>(measured.samples) / rank.world_size);
  print_measured(options, measured, floor);
  return figures_of(config, measured, floor, device_name, rank.world_size);
}

}  // namespace trainyard
