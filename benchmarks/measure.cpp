#include "measure.h"

#include <algorithm>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "loader/process_usage.h"
#include "util/clock.h"
#include "util/error.h"

namespace trainyard {
namespace {

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

}  // namespace

void add_options(CLI::App& app, MeasureOptions& options) {
  app.add_option("--cell", options.cell,
                 "null, fashion_mnist, tiny, huge; with files: jpeg, large, large_scaled, packed");
  app.add_option("--workers", options.workers, "worker processes or threads")->check(CLI::Range(0, 256));
  app.add_option("--batch", options.batch_size, "samples a batch")->check(CLI::Range(1, 1 << 20));
  app.add_option("--seconds", options.seconds, "how long to measure")->check(CLI::Range(0.1, 600.0));
  app.add_option("--files", options.files, "folder of the cells of files");
}

int run_benchmark(CLI::App& app, int argc, char** argv, const std::function<void()>& benchmark) {
  CLI11_PARSE(app, argc, argv);
  try {
    benchmark();
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}

double now() { return static_cast<double>(monotonic_ns()) * 1e-9; }

nlohmann::json measure(const MeasuredLoader& loader, double start, double seconds) {
  double first_batch = 0;
  std::uint64_t samples = 0;
  loader.epoch(0, [&](std::size_t count) {
    if (samples == 0) first_batch = now() - start;
    samples += count;
  });
  if (samples != loader.samples) throw RunError("benchmark", "{} samples instead of {}", samples, loader.samples);

  const std::vector<pid_t> pids = loader.processes();
  const double cpu_before = cpu_seconds(pids);
  const double began = now();
  std::uint64_t epochs = 0;
  std::vector<double> waits;
  std::vector<double> gaps;
  while (now() - began < seconds) {
    double asked = now();
    bool first = true;
    loader.epoch(++epochs, [&](std::size_t) {
      (first ? gaps : waits).push_back(now() - asked);
      first = false;
      asked = now();
    });
  }
  const double took = now() - began;
  const auto count = static_cast<double>(epochs * loader.samples);
  return {{"samples_per_second", count / took},
          {"first_batch_s", first_batch},
          {"gap_ms", 1e3 * (percentile(gaps, 0.5) - percentile(waits, 0.5))},
          {"wait_p99_ms", 1e3 * percentile(waits, 0.99)},
          {"cpu_s_per_1000", 1e3 * (cpu_seconds(pids) - cpu_before) / count},
          {"pss_mib", pss_mib(pids)}};
}

}  // namespace trainyard
