// Measures the loader with one dataset and prints a line of JSON. benchmarks/compare_loaders runs it beside its peers.
//
//     loader_benchmark --cell tiny --workers 2 --batch 512 --seconds 3
//     loader_benchmark --cell tiny --workers 2 --limit        as many processes that read and deliver nowhere
//     loader_benchmark --files FOLDER --make-files            write what the cells of files read
#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "cells.h"
#include "loader/data_loader.h"
#include "util/error.h"

namespace trainyard {
namespace {

double now() { return static_cast<double>(monotonic_ns()) * 1e-9; }

std::vector<pid_t> processes_of(const WorkerPool& pool) {
  std::vector<pid_t> pids = {getpid()};
  if (pool.zygote_pid() < 0) return pids;
  pids.push_back(pool.zygote_pid());
  for (const WorkerStatus& worker : pool.status()) pids.push_back(worker.pid);
  return pids;
}

// User and system time so far.
double cpu_seconds(const std::vector<pid_t>& pids) {
  double ticks = 0;
  for (const pid_t pid : pids) {
    std::string text;
    std::getline(std::ifstream(fmt::format("/proc/{}/stat", pid)), text);
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    double user = 0;
    double system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Resident memory, shared pages divided among those that share them.
double pss_mib(const std::vector<pid_t>& pids) {
  double kib = 0;
  for (const pid_t pid : pids) {
    std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", pid));
    for (std::string line; std::getline(rollup, line);) {
      if (line.starts_with("Pss:")) kib += std::stod(line.substr(4));
    }
  }
  return kib / 1024;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

// Whole epochs until `seconds` have passed, after one that warms up.
nlohmann::json measure(const PoolOptions& options, const DatasetFactory& factory, double seconds) {
  const double start = now();
  WorkerPool pool(options, factory);
  DataLoader loader(pool, Split::train, {.shuffle = true});
  loader.follow_with(&loader, 1);
  loader.start_epoch(0);
  if (!loader.next()) throw UsageError("benchmark", "no batches");
  const double first_batch = now() - start;
  while (loader.next()) continue;

  const std::vector<pid_t> pids = processes_of(pool);
  const double cpu_before = cpu_seconds(pids);
  const double began = now();
  std::uint64_t samples = 0;
  std::uint64_t epochs = 0;
  std::vector<double> waits;
  std::vector<double> gaps;
  while (now() - began < seconds) {
    double asked = now();
    loader.start_epoch(++epochs);
    loader.follow_with(&loader, epochs + 1);
    bool first = true;
    while (const auto batch = loader.next()) {
      (first ? gaps : waits).push_back(now() - asked);
      first = false;
      samples += batch->count();
      asked = now();
    }
  }
  const double took = now() - began;
  const auto count = static_cast<double>(samples);
  return {{"samples_per_second", count / took},
          {"first_batch_s", first_batch},
          {"gap_ms", 1e3 * (percentile(gaps, 0.5) - percentile(waits, 0.5))},
          {"wait_p99_ms", 1e3 * percentile(waits, 0.99)},
          {"cpu_s_per_1000", 1e3 * (cpu_seconds(pids) - cpu_before) / count},
          {"pss_mib", pss_mib(pids)}};
}

// What as many independent processes read, each again and again into the same buffer.
nlohmann::json measure_limit(int processes, const DatasetFactory& factory, double seconds) {
  const std::vector<LoadedSplit> splits = factory();
  const LoadedSplit& split = splits[0];
  const Mapping results = Mapping::anonymous(sizeof(double) * static_cast<std::size_t>(processes), "benchmark");
  auto* const rates = reinterpret_cast<double*>(results.bytes().data());
  for (int process = 0; process < processes; ++process) {
    if (check_call(fork(), "benchmark", "fork", "reader") != 0) continue;
    std::vector<std::byte> buffer(split.spec().bytes());
    const std::size_t size = split.dataset->size();
    const SampleOrder order(static_cast<std::uint64_t>(process), 0, size, true);
    std::uint64_t samples = 0;
    const double began = now();
    double took = 0;
    while (took < seconds) {
      for (int i = 0; i < 16; ++i, ++samples) split.read(order(samples % size), 0, samples / size, buffer);
      took = now() - began;
    }
    rates[process] = static_cast<double>(samples) / took;
    _exit(0);
  }
  while (wait(nullptr) > 0) continue;
  return {{"samples_per_second", std::accumulate(rates, rates + processes, 0.0)}};
}

int run(int argc, char** argv) {
  CLI::App app("Measures the loader");
  std::string cell = "tiny";
  PoolOptions options{.workers = 2, .batch_size = 512};
  double seconds = 3;
  std::string files;
  bool limit = false;
  bool make = false;
  app.add_option("--cell", cell, "null, fashion_mnist, tiny, huge; with files: jpeg, large, large_scaled, packed");
  app.add_option("--workers", options.workers, "worker processes")->check(CLI::Range(0, 256));
  app.add_option("--batch", options.batch_size, "samples a batch")->check(CLI::Range(1, 1 << 20));
  app.add_option("--prefetch", options.prefetch, "batches ahead")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", seconds, "how long to measure")->check(CLI::Range(0.1, 600.0));
  app.add_flag("--limit", limit, "measure processes that deliver nowhere instead");
  app.add_option("--files", files, "folder of the cells of files");
  app.add_flag("--make-files", make, "write them and measure nothing")->needs("--files");
  CLI11_PARSE(app, argc, argv);
  if (make) {
    make_files(files);
    return 0;
  }
  const DatasetFactory factory = make_cell(cell, files);
  const nlohmann::json result =
      limit ? measure_limit(std::max(options.workers, 1), factory, seconds) : measure(options, factory, seconds);
  fmt::print("{}\n", result.dump());
  return 0;
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  try {
    return trainyard::run(argc, argv);
  } catch (const trainyard::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
