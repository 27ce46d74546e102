#include "loader/epoch_stats.h"

#include <algorithm>

#include <fmt/format.h>

#include "util/clock.h"

namespace trainyard {
namespace {

double busy_seconds(const WorkerPool& pool) {
  double seconds = 0;
  for (const WorkerStatus& worker : pool.status()) seconds += worker.busy_seconds;
  return seconds;
}

double percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

}  // namespace

void EpochMeter::start(const WorkerPool& pool) {
  began_ns_ = monotonic_ns();
  busy_before_ = busy_seconds(pool);
  sums_ = EpochStats();
  waits_.clear();
}

void EpochMeter::add(double waited_seconds, std::uint64_t samples, std::uint64_t bytes) {
  sums_.waited_seconds += waited_seconds;
  sums_.samples += samples;
  sums_.bytes += bytes;
  waits_.push_back(static_cast<float>(waited_seconds));
}

EpochStats EpochMeter::stats(const WorkerPool& pool) const {
  EpochStats stats = sums_;
  stats.batches = waits_.size();
  std::vector<float> waits = waits_;
  stats.wait_p50 = percentile(waits, 0.5);
  stats.wait_p99 = percentile(waits, 0.99);
  stats.faults = pool.faults();
  stats.seconds = static_cast<double>(monotonic_ns() - began_ns_) * 1e-9;
  const double workers_time = stats.seconds * std::max(pool.options().workers, 1);
  // A worker reports its busy time when it hands in a chunk: part of it may be from before the epoch.
  if (workers_time > 0) stats.busy_share = std::clamp((busy_seconds(pool) - busy_before_) / workers_time, 0.0, 1.0);
  return stats;
}

std::string loading_line(const EpochStats& stats, const PoolOptions& options) {
  if (stats.samples == 0) return "";
  const std::string waits =
      fmt::format("wait p50 {:.1f} ms, p99 {:.1f} ms", 1e3 * stats.wait_p50, 1e3 * stats.wait_p99);
  const double mib = static_cast<double>(stats.bytes) / (1 << 20);
  if (options.cache == SampleCache::gpu) return fmt::format("{}; {:.1f} MiB gathered on the GPU", waits, mib);
  return fmt::format("{}; {} {:.0f} % busy; {:.1f} MiB delivered", waits,
                     options.workers > 0 ? "workers" : "reading in this process,", 100 * stats.busy_share, mib);
}

std::string faults_line(const FaultCounts& faults) {
  if (faults.deaths + faults.hangs + faults.retries + faults.skipped == 0) return "";
  const bool repeatedly = faults.skipped_samples < faults.skipped;
  return fmt::format("workers: {} died, {} hung; samples: {} tried again, {} left out{}", faults.deaths, faults.hangs,
                     faults.retries, faults.skipped_samples,
                     repeatedly ? fmt::format(", {} times in all", faults.skipped) : "");
}

std::string loading_advice(const EpochStats& stats, const PoolOptions& options, int cores) {
  constexpr double worth_a_word = 0.05;
  constexpr double always_busy = 0.8;
  constexpr double least_seconds = 1;
  constexpr std::uint64_t least_batches = 50;
  if (stats.seconds < least_seconds || stats.batches < least_batches) return "";
  if (options.cache == SampleCache::gpu || stats.wait_share() < worth_a_word) return "";
  const std::string waited = fmt::format("data: {:.0f} % of the time the step waited for it", 100 * stats.wait_share());
  if (options.workers == 0) return waited + "; set loader.workers, 0 reads in the training process itself";
  if (stats.busy_share < always_busy) {
    return fmt::format("{}, although the workers were busy for only {:.0f} % of theirs; raise loader.prefetch (now {})",
                       waited, 100 * stats.busy_share, options.prefetch);
  }
  if (options.workers < cores) {
    return fmt::format("{} and all workers were busy; raise loader.workers (now {}, there are {} cores)", waited,
                       options.workers, cores);
  }
  return fmt::format(
      "{} and all workers, as many as cores, were busy; store samples that are cheaper to read and "
      "transform",
      waited);
}

}  // namespace trainyard
