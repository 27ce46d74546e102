/// Shows the progress of a run: one live line on a terminal, elsewhere a plain line from time to time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "util/metric_values.h"

namespace trainyard {

/// How far the run is.
struct ProgressState {
  std::int64_t epoch;  ///< the current one, from 1
  std::int64_t epochs;
  std::int64_t step;  ///< within the epoch
  std::int64_t steps;
  MetricValues metrics;  ///< of training, so far in this epoch; the most important first
  double samples_per_second;
  double data_wait;                    ///< 0 to 1
  std::optional<double> seconds_left;  ///< of the whole run; none if not a sample has been trained on yet
  std::uint64_t gpu_memory = 0;        ///< peak so far, in bytes; 0: no GPU
};

/// Writes to standard output (util/output.h). Not thread-safe.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Whether a line is due: ten times per second on a terminal, every half minute elsewhere. This call is cheap, but
  /// filling a ProgressState may have to wait for the GPU.
  bool due() const;
  void show(const ProgressState& state);

  /// Prints a permanent line above the live one.
  void print(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool line_open_ = false;
  Clock::time_point shown_ = Clock::now();
};

/// "epoch 2/5  step 300/469  train/loss 0.3124  train/accuracy 0.889  6120/s  wait 1 %  GPU 3.2 GiB  left 0:41". If
/// that exceeds `columns`, leaves out parts, the least important first: a line that wraps could not be overwritten.
std::string format_progress(const ProgressState& state, std::size_t columns = std::string::npos);

/// "41 s", "3:05", "2:03:05".
std::string format_duration(double seconds);

}  // namespace trainyard
