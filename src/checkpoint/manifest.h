/// Describes a checkpoint: the file `manifest.json`. docs/checkpoint-format.md documents every key.
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

/// The state of a run when a checkpoint is written.
enum class RunEnd : std::uint8_t {
  running,        ///< it continues
  finished,       ///< all epochs are done
  early_stopped,  ///< ended by train.patience, so it is finished, too
  signal,         ///< ended by a signal; it can be resumed
};

/// "running", "finished", "early_stopped" or "signal".
const char* to_string(RunEnd end);

/// Values of metrics by name.
using NamedNumbers = std::map<std::string, double>;

/// The validation split that the run is evaluated on.
struct ValSplit {
  std::int64_t samples = 0;
  double share = 0;               ///< of the samples of train and val together
  bool from_train = false;        ///< taken from train (data.val); otherwise the data's own
  std::uint64_t fingerprint = 0;  ///< of its samples
  /// Height and width of its images as the loader delivers them; empty: it has none, or an earlier program wrote this.
  std::vector<std::int64_t> image_size{};
  bool operator==(const ValSplit&) const = default;
};

/// The best epoch so far.
struct BestEpoch {
  std::int64_t epoch = 0;  ///< full epochs completed by then; 0: none yet
  std::string monitor;     ///< the metric that selects it: "val/accuracy"
  NamedNumbers metrics;    ///< of that epoch, including the monitored one; empty if there is none yet
  bool operator==(const BestEpoch&) const = default;
};

/// Training since the last line of metrics.jsonl.
struct MetricsWindow {
  double seconds = 0;
  double waited = 0;  ///< seconds of these spent waiting for data
  bool operator==(const MetricsWindow&) const = default;
};

struct Manifest {
  static constexpr std::int64_t format_version = 2;
  static constexpr const char* file_name = "manifest.json";
  static constexpr const char* model_file = "model.safetensors";
  static constexpr const char* ema_file = "ema.safetensors";
  static constexpr const char* state_file = "state.safetensors";

  std::int64_t step = 0;   ///< optimizer steps completed
  std::int64_t epoch = 0;  ///< full epochs completed
  std::int64_t batch = 0;  ///< batches completed in the current epoch
  RunEnd ended = RunEnd::running;
  std::int64_t signal = 0;  ///< the signal that ended it; 0 unless `ended` is signal
  std::string trainyard_version;
  std::string task;                         ///< name of the task
  std::string model;                        ///< name of the model
  std::string dataset;                      ///< name of the dataset
  std::uint64_t dataset_fingerprint = 0;    ///< of the training samples
  std::vector<std::string> class_names;     ///< empty: the data has no classes
  std::vector<std::uint64_t> class_counts;  ///< training samples of each class; empty: unknown
  std::vector<Field> fields;                ///< of a sample as delivered by the loader
  std::vector<float> channel_mean;          ///< for the normalization of images, in units of 0..1; empty: unknown
  std::vector<float> channel_std;
  ValSplit val;
  BestEpoch best;
  /// The monitored metric on val after each of the last epochs, if possible all; NaN: the epoch cannot be the best.
  std::vector<double> history;
  MetricsWindow window;
  std::string config;  ///< the resolved configuration as TOML
  std::map<std::string, FileDigest>
      files;  ///< of the three above, ema_file if there is one; filled in by write_checkpoint
  bool operator==(const Manifest&) const = default;
};

/// The text of manifest.json, with a checksum over itself. Throws RunError if a string is not UTF-8 or check_manifest()
/// (manifest_rules.h) rejects a value, so whatever is written can be read.
std::string to_json(const Manifest& manifest);

/// Parses the output of to_json; `path` is for error messages. Throws RunError for a damaged text and for a value that
/// check_manifest() rejects, UsageError for an intact text of another format version, with what can still be done with
/// it.
Manifest parse_manifest(std::string_view text, std::string_view path);

/// Reads `folder`/manifest.json. Throws like parse_manifest, and RunError if the folder's name is that of another step.
/// Does not read the other files.
Manifest read_manifest(const std::filesystem::path& folder);

}  // namespace trainyard
