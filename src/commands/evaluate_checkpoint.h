/// What `eval`, `report` and the end of `train` have in common: a checkpoint, evaluated on the test set.
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
  std::string device;
  std::string precision;
  ClassificationReport evaluation;
  std::vector<std::string> worst_names;  ///< what the dataset calls each of evaluation.worst, printable
};

/// Loads the step folder `checkpoint` and runs it over the test split of `pool`, in config.train.precision, keeping at
/// most `worst` mistakes. Throws UsageError where the data has other classes or samples of another shape than what it
/// was trained on.
CheckpointEvaluation evaluate_checkpoint(const std::filesystem::path& checkpoint, WorkerPool& pool,
                                         const Config& config, at::Device device, std::size_t worst = 0);

/// Everything, keys in an order to be read: {"checkpoint", ..., "top1", "classes": [{"name", "recall", ...}],
/// "confusion": [{"label", "guess", "samples"}], "worst": [{"index", "name", "label", "guess", ...}]}.
nlohmann::ordered_json to_json(const CheckpointEvaluation& evaluated);

}  // namespace trainyard
