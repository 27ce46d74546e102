/// What a checkpoint says of itself: `manifest.json`. docs/checkpoint-format.md describes every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/field.h"
#include "util/atomic_file.h"

namespace trainyard {

/// How a run stands when a checkpoint is written.
enum class RunEnd : std::uint8_t {
  running,        ///< it goes on
  finished,       ///< it has all its epochs
  early_stopped,  ///< train.patience has ended it: it is finished, too
  signal,         ///< a signal has ended it; it can be resumed
};

/// "running", "finished", "early_stopped" or "signal".
const char* to_string(RunEnd end);

/// Values of metrics by name.
using NamedNumbers = std::map<std::string, double>;

/// The validation split that the run is judged by.
struct ValSplit {
  std::int64_t samples = 0;
  double share = 0;               ///< of the samples of train and val together
  bool from_train = false;        ///< taken out of train (data.val); otherwise the data's own
  std::uint64_t fingerprint = 0;  ///< of its samples
  bool operator==(const ValSplit&) const = default;
};

/// The best epoch so far.
struct BestEpoch {
  std::int64_t epoch = 0;  ///< whole epochs done then; 0: none yet
  std::string monitor;     ///< the metric that decides: "val/accuracy"
  NamedNumbers metrics;    ///< of that epoch, the monitored one among them; empty if there is none yet
  bool operator==(const BestEpoch&) const = default;
};

/// Training since the last line of metrics.jsonl.
struct MetricsWindow {
  double seconds = 0;
  double waited = 0;  ///< seconds of them, for data
  bool operator==(const MetricsWindow&) const = default;
};

struct Manifest {
  static constexpr std::int64_t format_version = 2;
  static constexpr const char* file_name = "manifest.json";
  static constexpr const char* model_file = "model.safetensors";
  static constexpr const char* ema_file = "ema.safetensors";
  static constexpr const char* state_file = "state.safetensors";

  std::int64_t step = 0;   ///< optimizer steps done
  std::int64_t epoch = 0;  ///< whole epochs done
  std::int64_t batch = 0;  ///< batches of the epoch under way that are done
  RunEnd ended = RunEnd::running;
  std::int64_t signal = 0;  ///< the one that ended it; 0 unless `ended` is signal
  std::string trainyard_version;
  std::string task;                         ///< name of the task
  std::string model;                        ///< name of the model
  std::string dataset;                      ///< name of the dataset
  std::uint64_t dataset_fingerprint = 0;    ///< of the training samples
  std::vector<std::string> class_names;     ///< empty: the data have no classes
  std::vector<std::uint64_t> class_counts;  ///< training samples of each class; empty: not known
  std::vector<Field> fields;                ///< of a sample as the loader delivers it
  std::vector<float> channel_mean;          ///< what images are normalized with, in units of 0..1; empty: not known
  std::vector<float> channel_std;
  ValSplit val;
  BestEpoch best;
  MetricsWindow window;
  std::string config;  ///< the resolved configuration, TOML
  std::map<std::string, FileSum>
      files;  ///< of the three above, ema_file if there is one; filled in by write_checkpoint
  bool operator==(const Manifest&) const = default;
};

/// The text of manifest.json, with a checksum over itself. Throws RunError if a string is not UTF-8 or check_manifest()
/// (manifest_rules.h) refuses a value: what is written can be read.
std::string to_json(const Manifest& manifest);

/// Parses what to_json wrote; `path` is for errors. Throws RunError for a damaged text and for a value that
/// check_manifest() refuses, UsageError for a text that is whole but of another format version, with what can
/// still be done with it.
Manifest parse_manifest(std::string_view text, std::string_view path);

/// Reads `folder`/manifest.json. Throws as parse_manifest does, and RunError if the folder is named as that of another
/// step. Does not read the other files.
Manifest read_manifest(const std::filesystem::path& folder);

}  // namespace trainyard
