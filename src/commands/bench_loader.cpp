// trainyard bench loader: measures the loader with a run's dataset and transforms, without training.

#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "commands/bench.h"
#include "loader/data_loader.h"
#include "loader/epoch_stats.h"
#include "loader/open_pool.h"
#include "loader/process_usage.h"
#include "loader/split_summary.h"
#include "util/clock.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr BatchRange endless{.first = 0, .end = std::numeric_limits<std::uint64_t>::max()};

std::uint64_t bytes_of(const Batch& batch) {
  std::uint64_t bytes = 0;
  for (const BatchField& field : batch.fields()) bytes += field.elements.size();
  return bytes;
}

// Runs for at least `seconds` and for one batch. Returns samples per second.
double run_round(DataLoader& loader, EpochMeter& meter, double seconds) {
  const std::int64_t start = monotonic_ns();
  std::uint64_t samples = 0;
  do {
    const std::int64_t asked = monotonic_ns();
    const Batch batch = *loader.next();
    meter.add(seconds_since(asked), batch.count(), bytes_of(batch));
    samples += batch.count();
  } while (seconds_since(start) < seconds);
  return static_cast<double>(samples) / seconds_since(start);
}

// A cache is filled during the first epoch.
void warm_up(DataLoader& loader, const Config& config, double seconds) {
  const std::uint64_t least = config.loader.cache == SampleCache::shm ? loader.batches() : 1;
  const std::int64_t start = monotonic_ns();
  for (std::uint64_t i = 0; i < least || seconds_since(start) < seconds; ++i) loader.next();
}

struct Measured {
  std::vector<double> rates;  // samples per second in each round
  EpochStats stats;           // of all rounds
  double cpu_seconds = 0;     // of all processes
  double pss_mib = 0;
};

Measured measure(const WorkerPool& pool, DataLoader& loader, const BenchOptions& options) {
  const std::vector<pid_t> processes = processes_of(pool);
  const double cpu_before = cpu_seconds(processes);
  EpochMeter meter;
  meter.start(pool);
  Measured result;
  for (int i = 0; i < options.rounds; ++i) result.rates.push_back(run_round(loader, meter, options.seconds));
  result.stats = meter.stats(pool);
  result.cpu_seconds = cpu_seconds(processes) - cpu_before;
  result.pss_mib = pss_mib(processes);
  return result;
}

}  // namespace

nlohmann::ordered_json bench_loader(const Config& config, const BenchOptions& options) {
  const auto row = [&](const std::string& name, const std::string& value) { bench_row(options, name, value); };
  const std::int64_t start = monotonic_ns();
  WorkerPool pool = open_pool(config);
  DataLoader loader(pool, Split::train, {.shuffle = true, .drop_last = config.loader.drop_last});
  if (loader.batches() == 0) {
    throw UsageError("bench", "{} samples make no batch of {} with loader.drop_last; lower loader.batch_size",
                     loader.split().size, config.loader.batch_size);
  }
  loader.start(endless);
  loader.next();
  const double first_batch = seconds_since(start);
  row("data", fmt::format("{}, {}", config.data.name, summary_of(loader.split())));
  row("batch", fmt::format("{} x {}", config.loader.batch_size, describe(loader.split().fields)));
  row("first batch", fmt::format("{:.3f} s, including opening the data and starting {}", first_batch,
                                 count_of(config.loader.workers, "worker")));
  warm_up(loader, config, options.seconds);

  const Measured measured = measure(pool, loader, options);
  const EpochStats& stats = measured.stats;
  const double cpu_per_thousand = 1e3 * measured.cpu_seconds / static_cast<double>(stats.samples);
  const double bytes_per_second = static_cast<double>(stats.bytes) / stats.seconds;

  row("rate", rates_text(measured.rates, "samples/s"));
  row("", fmt::format("{:.1f} MiB/s delivered", bytes_per_second / (1 << 20)));
  row("wait", fmt::format("p50 {:.3f} ms, p99 {:.3f} ms for a batch", 1e3 * stats.wait_p50, 1e3 * stats.wait_p99));
  row("CPU", fmt::format("{:.3g} s per 1,000 samples; {:.2f} of {} cores busy", cpu_per_thousand,
                         measured.cpu_seconds / stats.seconds, usable_cores()));
  row("workers", config.loader.workers > 0
                     ? fmt::format("{}, busy for {:.0f} % of the time", config.loader.workers, 100 * stats.busy_share)
                     : "none: samples are read in this process (loader.workers)");
  row("memory", fmt::format("{:.0f} MiB of all processes, shared pages divided (PSS)", measured.pss_mib));
  if (const std::string faults = faults_line(stats.faults); !faults.empty()) row("faults", faults);

  return {{"benchmark", "loader"},
          {"data", config.data.name},
          {"samples", loader.split().size},
          {"batch_size", config.loader.batch_size},
          {"workers", config.loader.workers},
          {"samples_per_second", spread_json(measured.rates)},
          {"bytes_per_second", bytes_per_second},
          {"first_batch_seconds", first_batch},
          {"wait_p50_seconds", stats.wait_p50},
          {"wait_p99_seconds", stats.wait_p99},
          {"cpu_seconds_per_1000_samples", cpu_per_thousand},
          {"busy_share", stats.busy_share},
          {"pss_mib", measured.pss_mib}};
}

}  // namespace trainyard
