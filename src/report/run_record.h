/// Reads what a run has left in its folder, to show it.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace trainyard {

/// Anything missing or torn is empty: the run may still be in progress, or have failed.
struct RunRecord {
  std::string name;       ///< of the folder
  std::string path;       ///< of the folder, as given
  nlohmann::json epochs;  ///< an array with one object per row of metrics.csv; non-finite numbers are null
  nlohmann::json steps;   ///< the same for metrics.jsonl
  nlohmann::json ranks;   ///< the same for ranks.csv
  nlohmann::json check;   ///< check.json, or null
  std::string config;     ///< config.toml without run.started_in
};

/// Reads `folder`. Throws UsageError if it is not a run's folder, i.e. has neither a config.toml nor checkpoints/.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace trainyard
