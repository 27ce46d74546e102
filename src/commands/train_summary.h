/// Prints what a run has come to, at the end of `trainyard train`.
#pragma once

#include <optional>
#include <string>

#include "commands/evaluate_checkpoint.h"
#include "config/config.h"
#include "loader/epoch_stats.h"
#include "training/run_folder.h"
#include "training/trainer.h"

namespace trainyard {

/// The best checkpoint on test (on val if there is no test), or why it is unknown.
struct Judged {
  std::optional<CheckpointEvaluation> best;
  std::string error;
};

/// Prints the metrics, the speed and the files of a run.
void print_summary(const RunResult& result, const Config& config, const RunFolder& folder, const Judged& judged);

/// Prints how the loader did in an epoch, and what would speed it up.
void print_loading(const EpochStats& stats, const WorkerPool& pool);

/// Prints a line of the summary.
void print_row(const std::string& name, const std::string& value);

}  // namespace trainyard
