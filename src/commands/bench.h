/// What the stages of `trainyard bench` share: options, and how figures are shown.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "check/forked_process.h"
#include "config/config.h"

namespace trainyard {

constexpr std::int64_t most_steps = 1'000'000;  ///< of a round

struct BenchOptions {
  int rounds = 5;
  double seconds = 2;                              ///< about how long a round takes
  bool turns = false;                              ///< of `step`: run steps on request
  bool quiet = false;                              ///< print no rows, because standard output is for JSON
  std::optional<ProcessFailure> driver_failure{};  ///< of `step`: as in CheckOptions
};

/// Several measurements of the same figure.
struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
};

/// REQUIRES that there are rounds.
Spread spread_of(std::vector<double> rounds);

/// {"median", "least", "most", "rounds"}
nlohmann::ordered_json spread_json(const std::vector<double>& rounds);

/// "12,345 samples/s (12,001 to 12,400 in 5 rounds)".
std::string rates_text(const std::vector<double>& rates, const std::string& unit);

/// Prints a row of a table, aligned and flushed, unless `options.quiet`.
void bench_row(const BenchOptions& options, const std::string& name, const std::string& value);

/// Lets `run` take turns with other programs: reads numbers of steps from standard input, one per line, until it ends,
/// and calls `run`, which returns the mean seconds per step. Prints them if this rank `answers`.
void take_turns(const std::function<double(std::int64_t steps)>& run, bool answers);

// Each stage prints its rows and returns the same figures as JSON. (bench_step.cpp etc.)

/// Null if this process is not the one that reports: another rank does, or `options.turns` has answered.
nlohmann::ordered_json bench_step(const Config& config, const BenchOptions& options);
nlohmann::ordered_json bench_loader(const Config& config, const BenchOptions& options);
nlohmann::ordered_json bench_decode(const Config& config, const BenchOptions& options);

}  // namespace trainyard
