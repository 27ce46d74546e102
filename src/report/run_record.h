/// Reads what a run has left in its folder, to show it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace trainyard {

/// Anything missing or torn is empty: the run may still be in progress, or have failed. A last line without its end is
/// torn; what else cannot be read is named in `warnings`.
struct RunRecord {
  std::string name;       ///< of the folder
  std::string path;       ///< of the folder, as given
  nlohmann::json epochs;  ///< an array with one object per row of metrics.csv; non-finite numbers are null
  nlohmann::json steps;   ///< the same for metrics.jsonl
  nlohmann::json ranks;   ///< the same for ranks.csv
  nlohmann::json check;   ///< check.json, or null
  std::string config;     ///< config.toml without run.started_in
  std::vector<std::string> warnings{};  ///< one per file that is damaged or missing, with the line
};

/// Throws UsageError `where` if `folder` is not a run's, i.e. has neither a config.toml nor checkpoints/.
void require_run_folder(const std::filesystem::path& folder, const char* where);

/// Reads `folder`. Throws UsageError if it is not a run's folder.
RunRecord read_run(const std::filesystem::path& folder);

}  // namespace trainyard
