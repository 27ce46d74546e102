/// Measures the loading of an epoch, and names the setting to change if the training step waited for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/worker_pool.h"

namespace trainyard {

/// For one epoch, or the part of it so far.
struct EpochStats {
  double seconds = 0;  ///< since the epoch began
  double waited_seconds = 0;
  double wait_p50 = 0;  ///< seconds per next(), median over the batches
  double wait_p99 = 0;
  std::uint64_t batches = 0;  ///< delivered
  std::uint64_t samples = 0;  ///< of these batches
  std::uint64_t bytes = 0;    ///< of these samples, before normalization
  double busy_share = 0;      ///< fraction of the workers' time spent reading samples, for any loader; 0 to 1
  FaultCounts faults;         ///< since the pool was created

  double wait_share() const { return seconds > 0 ? waited_seconds / seconds : 0; }
  double samples_per_second() const { return seconds > 0 ? static_cast<double>(samples) / seconds : 0; }
};

/// Collects the measurements of one loader. Not thread-safe.
class EpochMeter {
 public:
  void start(const WorkerPool& pool);
  void add(double waited_seconds, std::uint64_t samples, std::uint64_t bytes);
  double waited_seconds() const { return sums_.waited_seconds; }
  EpochStats stats(const WorkerPool& pool) const;

 private:
  std::int64_t began_ns_ = 0;
  double busy_before_ = 0;
  EpochStats sums_;
  std::vector<float> waits_;  // four bytes per batch
};

/// "wait p50 0.1 ms, p99 4.0 ms; workers 83 % busy; 512.0 MiB delivered"; for a run that keeps its samples on the GPU
/// "wait p50 0.0 ms, p99 0.1 ms; 512.0 MiB gathered on the GPU"; empty if nothing was delivered.
std::string loading_line(const EpochStats& stats, const PoolOptions& options);

/// "workers: 1 died, 2 hung; samples: 3 tried again, 1 left out, 5 times in all"; empty if there were no faults.
std::string faults_line(const FaultCounts& faults);

/// A sentence that names the bottleneck and the setting to change; empty if the step waited for less than a twentieth
/// of the time, or if the epoch was too short to tell: there, most of the wait may be that for the first batches.
/// `cores`: the number of usable cores.
std::string loading_advice(const EpochStats& stats, const PoolOptions& options, int cores);

}  // namespace trainyard
