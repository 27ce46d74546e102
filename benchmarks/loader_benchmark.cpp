// Measures the loader with one dataset and prints a line of JSON. benchmarks/compare_loaders runs it next to its peers.
//
//     loader_benchmark --cell tiny --workers 2 --batch 512 --seconds 3
//     loader_benchmark --cell tiny --workers 2 --limit        independent processes that read without delivering
//     loader_benchmark --files FOLDER --make-files            write the files for the file-based cells
#include <algorithm>
#include <numeric>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "cells.h"
#include "loader/data_loader.h"
#include "loader/process_usage.h"
#include "measure.h"

namespace trainyard {
namespace {

nlohmann::json measure_ours(const PoolOptions& options, const DatasetFactory& factory, double seconds) {
  const double start = now();
  WorkerPool pool(options, factory);
  DataLoader loader(pool, Split::train, {.shuffle = true});
  const auto epoch = [&](std::uint64_t number, const auto& on_batch) {
    loader.start_epoch(number);
    loader.follow_with(&loader, loader.range_of(number + 1));
    while (const auto batch = loader.next()) on_batch(batch->count());
  };
  return measure({epoch, [&] { return processes_of(pool); }, pool.splits()[0].size}, start, seconds);
}

// The rate of `processes` independent processes, each of which reads repeatedly into the same buffer.
nlohmann::json measure_limit(int processes, const DatasetFactory& factory, double seconds) {
  const std::vector<LoadedSplit> splits = factory();
  const LoadedSplit& split = splits[0];
  const Mapping results = Mapping::anonymous(sizeof(double) * static_cast<std::size_t>(processes), "benchmark");
  auto* const rates = reinterpret_cast<double*>(results.bytes().data());
  for (int process = 0; process < processes; ++process) {
    if (check_call(fork(), "benchmark", "fork", "reader") != 0) continue;
    std::vector<std::vector<std::byte>> buffers;
    for (const Field& field : split.fields()) buffers.emplace_back(field.bytes());
    const std::vector<std::span<std::byte>> places(buffers.begin(), buffers.end());
    const std::size_t size = split.dataset->size();
    const SampleOrder order(static_cast<std::uint64_t>(process), 0, size, true);
    std::uint64_t samples = 0;
    const double began = now();
    double took = 0;
    while (took < seconds) {
      for (int i = 0; i < 16; ++i, ++samples) split.read(order(samples % size), 0, samples / size, places);
      took = now() - began;
    }
    rates[process] = static_cast<double>(samples) / took;
    _exit(0);
  }
  while (wait(nullptr) > 0) continue;
  return {{"samples_per_second", std::accumulate(rates, rates + processes, 0.0)}};
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  using namespace trainyard;
  CLI::App app("Measures the loader");
  MeasureOptions options;
  int prefetch = PoolOptions().prefetch;
  bool limit = false;
  bool make = false;
  add_options(app, options);
  app.add_option("--prefetch", prefetch, "batches ahead")->check(CLI::Range(1, 1024));
  app.add_flag("--limit", limit, "measure processes that deliver nowhere instead");
  app.add_flag("--make-files", make, "write them and measure nothing")->needs("--files");
  return run_benchmark(app, argc, argv, [&] {
    if (make) return make_files(options.files);
    const DatasetFactory factory = make_cell(options.cell, options.files);
    const PoolOptions pool{.workers = options.workers, .batch_size = options.batch_size, .prefetch = prefetch};
    const nlohmann::json figures = limit ? measure_limit(std::max(options.workers, 1), factory, options.seconds)
                                         : measure_ours(pool, factory, options.seconds);
    fmt::print("{}\n", figures.dump());
  });
}
