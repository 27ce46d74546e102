/// What a run has left in its folder, read back for people to look at.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace trainyard {

/// Whatever is missing or torn is empty: a run may still be going on, or have ended badly.
struct RunRecord {
  std::string name;       ///< of the folder
  std::string path;       ///< of the folder, as given
  nlohmann::json epochs;  ///< an array with an object for each row of metrics.csv; what is no finite number is null
  nlohmann::json steps;   ///< the same of metrics.jsonl
  nlohmann::json check;   ///< check.json, or null
  std::string config;     ///< config.toml without run.started_in
};

/// Reads `folder`. Throws UsageError where it is no run's folder: it has neither a config.toml nor checkpoints/.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace trainyard
