/// What one sees while a run goes on: one live line on a terminal, a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "util/metric_values.h"

namespace trainyard {

/// Where the run stands.
struct ProgressState {
  std::int64_t epoch;  ///< the one under way, from 1
  std::int64_t epochs;
  std::int64_t step;  ///< within the epoch
  std::int64_t steps;
  MetricValues metrics;  ///< of training, so far in this epoch; the first matters most
  double samples_per_second;
  double data_wait;              ///< 0 to 1
  double seconds_left;           ///< of the whole run
  std::uint64_t gpu_memory = 0;  ///< bytes, the most so far; 0: no GPU
};

/// Writes to standard output (util/output.h). Used from one thread.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Whether a line is due: ten times a second on a terminal, every half minute elsewhere. Asking costs nothing, the
  /// numbers of a ProgressState may cost a wait for the GPU.
  bool due() const;
  void show(const ProgressState& state);

  /// Prints a line for good, above the live one.
  void print(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool line_open_ = false;
  Clock::time_point shown_ = Clock::now();
};

/// "epoch 2/5  step 300/469  train/loss 0.3124  train/accuracy 0.889  6120/s  wait 1 %  GPU 3.2 GiB  left 0:41". Where
/// that is over `columns`, parts are left out, the least important first: a line that wraps could not be overwritten.
std::string format_progress(const ProgressState& state, std::size_t columns = std::string::npos);

/// "41 s", "3:05", "2:03:05".
std::string format_duration(double seconds);

}  // namespace trainyard
