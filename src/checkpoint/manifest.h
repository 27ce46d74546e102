/// What a checkpoint says of itself: `manifest.json`. docs/checkpoint-format.md describes every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "util/atomic_file.h"

namespace trainyard {

struct Manifest {
  static constexpr std::int64_t format_version = 1;
  static constexpr const char* file_name = "manifest.json";
  static constexpr const char* model_file = "model.safetensors";
  static constexpr const char* ema_file = "ema.safetensors";
  static constexpr const char* state_file = "state.safetensors";

  std::int64_t step = 0;   ///< optimizer steps done
  std::int64_t epoch = 0;  ///< whole epochs done
  std::string trainyard_version;
  std::string model;                      ///< name of the model
  std::string dataset;                    ///< name of the dataset
  std::uint64_t dataset_fingerprint = 0;  ///< of the training samples
  std::vector<std::string> class_names;
  std::vector<std::int64_t> sample_shape;  ///< as the model gets them: height, width, channels
  std::vector<float> channel_mean;         ///< what inputs were normalised with, in units of 0..1
  std::vector<float> channel_std;
  std::map<std::string, double> scalars;  ///< named numbers: those that manifest_rules.cpp lists, and no others
  std::string config;                     ///< the resolved configuration, TOML
  std::map<std::string, FileSum>
      files;  ///< of the three above, ema_file if there is one; filled in by write_checkpoint
  bool operator==(const Manifest&) const = default;
};

/// The text of manifest.json, with a checksum over itself. Throws RunError if a string is not UTF-8 or check_manifest()
/// (manifest_rules.h) refuses a value: what is written can be read.
std::string to_json(const Manifest& manifest);

/// Parses what to_json wrote; `path` is for errors. Throws RunError for a damaged text and for a value that
/// check_manifest() refuses, UsageError for a text that is whole but of another format version.
Manifest parse_manifest(std::string_view text, std::string_view path);

/// Reads `folder`/manifest.json. Throws as parse_manifest does, and RunError if the folder is named as that of another
/// step. Does not read the other files.
Manifest read_manifest(const std::filesystem::path& folder);

}  // namespace trainyard
