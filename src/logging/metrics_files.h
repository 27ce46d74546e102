/// Writes the metrics of a run to files: metrics.csv and loading.csv, one row per epoch; metrics.jsonl, one line every
/// few steps; and all of them again for TensorBoard (event_file.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "loader/epoch_stats.h"
#include "logging/event_file.h"
#include "util/metric_values.h"

namespace trainyard {

/// A row of metrics.csv, in columns train/loss, ..., val/loss, .... A loss is a mean over the samples; shares are 0 to
/// 1.
struct EpochMetrics {
  std::int64_t epoch;  ///< full epochs completed, from 1
  std::int64_t step;   ///< optimizer steps completed
  MetricValues train;  ///< during training, with augmentation and dropout
  MetricValues val;    ///< after the epoch, on the whole val split
  double lr;           ///< at the epoch's last step
  /// Training samples over the epoch's training time; none if this process has only evaluated the epoch.
  std::optional<double> samples_per_second;
  /// Share of that time in which the step waited for data, 0 to 1; the maximum over the ranks.
  std::optional<double> data_wait;
};

/// A row of loading.csv: how the epoch's samples were loaded. What is measured per batch is empty if there was none.
struct LoadingMetrics {
  std::int64_t epoch;  ///< full epochs completed, from 1
  std::int64_t step;   ///< optimizer steps completed
  EpochStats stats;
};

/// Rows of ranks.csv, one per rank. Not written if a run has only one rank, or if the waits are not known.
struct RankMetrics {
  std::int64_t epoch;             ///< full epochs completed, from 1
  std::int64_t step;              ///< optimizer steps completed
  std::vector<double> data_wait;  ///< per rank: the share of the epoch in which its steps waited for data, 0 to 1
};

/// A line of metrics.jsonl: means since the previous line.
struct StepMetrics {
  std::int64_t epoch;  ///< the current epoch, from 1
  std::int64_t step;   ///< optimizer steps completed
  MetricValues train;
  double lr;
  double samples_per_second;
  double data_wait;
};

/// The names of a run's metrics, including "loss", in order.
struct MetricNames {
  std::vector<std::string> train;
  std::vector<std::string> val;
};

/// Appends to the files in a run's folder; every row has been passed to the kernel when the call returns. Floats are
/// written with enough digits to read back exactly. Not thread-safe. Throws RunError if writing fails.
class MetricsFiles {
 public:
  /// Keeps what an earlier part of the run wrote up to and including `last_step` and drops everything after it, because
  /// those steps will be repeated. Rows move to the columns of `names`; columns that the run no longer has come last.
  /// A file with lines that cannot be read is also kept as it is, under another name, with a warning. `last_step` = 0
  /// starts new files.
  MetricsFiles(const std::filesystem::path& folder, std::int64_t last_step, const MetricNames& names);

  void add(const EpochMetrics& metrics);
  void add(const LoadingMetrics& metrics);
  void add(const RankMetrics& metrics);
  void add(const StepMetrics& metrics);

 private:
  struct Csv {
    std::filesystem::path path;
    std::size_t columns = 0;
  };

  void append(const std::filesystem::path& path, const std::string& lines) const;
  void append(const Csv& file, std::vector<std::string> cells) const;

  Csv epochs_;
  Csv loading_;
  Csv ranks_;  // without columns until it exists
  std::filesystem::path jsonl_;
  EventFile events_;
};

}  // namespace trainyard
