/// What `eval`, `report` and the end of `train` have in common: a checkpoint, evaluated on a split.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "checkpoint/manifest.h"
#include "config/config.h"
#include "loader/worker_pool.h"
#include "training/classification_report.h"

namespace trainyard {

struct CheckpointEvaluation {
  std::filesystem::path checkpoint;  ///< a step folder
  Manifest manifest;
  std::string dataset;
  Split split;
  std::string device;
  std::string precision;
  ClassificationReport evaluation;
  std::vector<std::string> worst_names;  ///< what the dataset calls each of evaluation.worst, printable
};

/// The split by which a checkpoint is judged: test, or val if the data has no test.
Split judging_split(const WorkerPool& pool);

/// Loads the step folder `checkpoint` and runs it over a split of `pool`, in config.train.precision, keeping at most
/// `worst` mistakes. Throws UsageError if the data has no such split, other classes, or samples of another shape than
/// what it was trained on.
CheckpointEvaluation evaluate_checkpoint(const std::filesystem::path& checkpoint, WorkerPool& pool, Split split,
                                         const Config& config, at::Device device, std::size_t worst = 0);

/// Everything, keys in an order to be read: {"checkpoint", ..., "split", ..., "<split>/loss", "<split>/accuracy",
/// "<split>/top5", "classes": [{"name", "recall", ...}],
/// "confusion": [{"label", "guess", "samples"}], "worst": [{"index", "name", "label", "guess", ...}]}.
nlohmann::ordered_json to_json(const CheckpointEvaluation& evaluated);

}  // namespace trainyard
