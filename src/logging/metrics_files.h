/// The numbers of a run as files: metrics.csv and loading.csv, a row an epoch; metrics.jsonl, a line every few steps;
/// and all once more for TensorBoard (event_file.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "loader/epoch_stats.h"
#include "logging/event_file.h"
#include "util/metric_values.h"

namespace trainyard {

/// A row of metrics.csv, in columns train/loss, ..., val/loss, .... A loss is a mean over the samples, a share is from
/// 0 to 1.
struct EpochMetrics {
  std::int64_t epoch;         ///< whole epochs done, from 1
  std::int64_t step;          ///< optimizer steps done
  MetricValues train;         ///< while training, with what makes training harder
  MetricValues val;           ///< after the epoch, on the whole val split
  double lr;                  ///< of the epoch's last step
  double samples_per_second;  ///< training samples over the epoch's training time
  double data_wait;  ///< share of that time in which the step waited for data, 0 to 1; the largest of the ranks'
};

/// A row of loading.csv: how the epoch's samples came.
struct LoadingMetrics {
  std::int64_t epoch;  ///< whole epochs done, from 1
  std::int64_t step;   ///< optimizer steps done
  EpochStats stats;
};

/// Rows of ranks.csv, one per rank. Not written by a run of one rank.
struct RankMetrics {
  std::int64_t epoch;             ///< whole epochs done, from 1
  std::int64_t step;              ///< optimizer steps done
  std::vector<double> data_wait;  ///< of each rank: the share of the epoch in which its steps waited for data, 0 to 1
};

/// A line of metrics.jsonl: means since the line before it.
struct StepMetrics {
  std::int64_t epoch;  ///< the epoch under way, from 1
  std::int64_t step;   ///< optimizer steps done
  MetricValues train;
  double lr;
  double samples_per_second;
  double data_wait;
};

/// The names of a run's metrics, "loss" among them, in their order.
struct MetricNames {
  std::vector<std::string> train;
  std::vector<std::string> val;
};

/// Appends to the files in a run's folder; every row is on its way to the disk when the call returns. Floats are
/// written so that they read back exactly. Used from one thread. Throws RunError when writing fails.
class MetricsFiles {
 public:
  /// Keeps what an earlier part of the run wrote up to and including `last_step` and drops what came after it: those
  /// steps are about to be done again. 0 begins new files.
  MetricsFiles(const std::filesystem::path& folder, std::int64_t last_step, const MetricNames& names);

  void add(const EpochMetrics& metrics);
  void add(const LoadingMetrics& metrics);
  void add(const RankMetrics& metrics);
  void add(const StepMetrics& metrics);

 private:
  void append(const std::filesystem::path& path, const std::string& line) const;

  std::filesystem::path csv_;
  std::filesystem::path loading_;
  std::filesystem::path ranks_;
  std::filesystem::path jsonl_;
  EventFile events_;
};

}  // namespace trainyard
