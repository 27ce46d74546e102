/// Measures a loader; common to all loader benchmarks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <sys/types.h>

namespace CLI {
class App;
}

namespace trainyard {

/// The command-line options common to all loader benchmarks.
struct MeasureOptions {
  std::string cell = "tiny";
  int workers = 2;
  int batch_size = 512;
  double seconds = 3;  // to measure
  std::string files;   // folder of the file-based cells
};

void add_options(CLI::App& app, MeasureOptions& options);

/// The rest of main(): parses the command line, calls `benchmark`, prints errors; returns the exit code.
int run_benchmark(CLI::App& app, int argc, char** argv, const std::function<void()>& benchmark);

/// Seconds of a monotonic clock.
double now();

/// A loader to measure. `epoch` delivers a full epoch and calls `on_batch` with the number of samples of each batch as
/// it arrives.
struct MeasuredLoader {
  std::function<void(std::uint64_t number, const std::function<void(std::size_t)>& on_batch)> epoch;
  std::function<std::vector<pid_t>()> processes;
  std::size_t samples = 0;  // per epoch
};

/// Returns the line of JSON: runs full epochs until `seconds` have passed, after one warm-up epoch. `start` is now()
/// before the loader was created. Throws RunError if an epoch has a wrong number of samples.
nlohmann::json measure(const MeasuredLoader& loader, double start, double seconds);

}  // namespace trainyard
