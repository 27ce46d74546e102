/// Evaluates a checkpoint on a split, for `eval`, `report` and the end of `train`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/manifest.h"
#include "config/config.h"
#include "loader/worker_pool.h"
#include "tasks/findings.h"
#include "training/evaluate.h"

namespace trainyard {

struct CheckpointEvaluation {
  std::filesystem::path checkpoint;  ///< a step folder
  Manifest manifest;
  std::string dataset;
  Split split;
  std::string device;
  std::string precision;
  Monitor monitor;
  std::string training_extras;  ///< of the task
  bool mirror;                  ///< averaged with the mirrored images
  Scores scores;
  Findings findings;
  std::vector<std::string> worst_names;  ///< the dataset's names of findings.worst, printable
};

struct CheckpointEvaluationOptions {
  std::size_t worst = 0;  ///< the number of samples to show, at most
  bool mirror = false;    ///< average predictions with those of the mirrored images (training/forward.h)
  std::uint64_t max_batches = std::numeric_limits<std::uint64_t>::max();  ///< only this many of the first batches
};

/// Whether the setting `key` makes a difference to what is computed with a trained model, or is refused by
/// require_trained_settings().
bool changes_evaluation(const std::string& key);

/// Throws UsageError for the first setting of the model or the task that differs from the trained one, because those
/// come from the checkpoint.
void require_trained_settings(const Config& trained, const Config& given);

/// The split on which a checkpoint is evaluated: test, or val if the data has no test.
Split judging_split(const WorkerPool& pool);

/// Loads the step folder `checkpoint` and evaluates it on a split of `pool`, in config.train.precision. Throws
/// UsageError if the task does not support mirroring, or if the data has no such split, other classes, or samples with
/// other fields than those the model was trained on.
CheckpointEvaluation evaluate_checkpoint(const std::filesystem::path& checkpoint, WorkerPool& pool, Split split,
                                         const Config& config, at::Device device,
                                         const CheckpointEvaluationOptions& options);

/// All of it, with the keys in reading order: {"checkpoint", ..., "split", ..., "mirror", ...,
/// "metrics": ["loss", ...], "monitor", "training_extras", "<split>/loss", ..., and, if the task has them, "classes":
/// [{"name", ...}], "confusion": [{"label", "guess", "samples"}], "worst": [{"index", "name", "caption", ...}],
/// "texts": [...]}.
nlohmann::ordered_json to_json(const CheckpointEvaluation& evaluated);

}  // namespace trainyard
