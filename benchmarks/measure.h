/// What every benchmark of a loader measures.
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

/// What every benchmark of a loader is told on the command line.
struct MeasureOptions {
  std::string cell = "tiny";
  int workers = 2;
  int batch_size = 512;
  double seconds = 3;  // to measure
  std::string files;   // folder of the cells of files
};

void add_options(CLI::App& app, MeasureOptions& options);

/// The rest of main(): parses the command line, calls `benchmark`, prints what is wrong; returns the exit code.
int run_benchmark(CLI::App& app, int argc, char** argv, const std::function<void()>& benchmark);

/// Seconds of a clock that only goes forward.
double now();

/// A loader as it is measured. `epoch` delivers a whole epoch and calls `on_batch` with the number of samples of each
/// batch as it comes.
struct MeasuredLoader {
  std::function<void(std::uint64_t number, const std::function<void(std::size_t)>& on_batch)> epoch;
  std::function<std::vector<pid_t>()> processes;
  std::size_t samples = 0;  // of an epoch
};

/// The line of JSON: whole epochs until `seconds` have passed, after one that warms up. `start` is now() before the
/// loader was made. Throws RunError where an epoch does not have its samples.
nlohmann::json measure(const MeasuredLoader& loader, double start, double seconds);

}  // namespace trainyard
