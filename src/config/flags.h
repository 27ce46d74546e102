/// Parses settings on the command line: `--section.key VALUE` or `--section.key=VALUE`, and `--config FILE`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/given.h"

namespace trainyard {

/// What files and flags have changed.
struct Applied {
  std::vector<Given> given;        ///< the settings that were given, whatever their values, each once
  std::vector<std::string> notes;  ///< about settings without effect, and paths that were moved; for a warning each
};

class SettingFlags {
 public:
  /// Removes them from `arguments`, up to `--`, and leaves the rest to the command. A flag takes one value; the flag of
  /// a list may be repeated, once per item, and an empty value is no item: `--transform.train ""` empties the list.
  /// --config may be repeated. Throws UsageError for a flag without a value, another repeated flag, and a flag that was
  /// renamed.
  explicit SettingFlags(std::vector<std::string>& arguments);

  /// Applies the files of --config to `config` in their order, then the flags: each overrides the values before it, key
  /// by key. Paths of an earlier run are resolved first (config/paths.h). A setting of a component that is not used is
  /// refused, or has no effect if a later file or a flag selects another component. Throws UsageError.
  Applied apply_to(Config& config) const;

 private:
  std::vector<Given> apply_flags_to(Config& config) const;
  void take(const std::string& key, bool repeatable, const std::string& text);

  std::vector<std::pair<std::string, std::vector<std::string>>> given_;  ///< keys and values, in the order given
  std::vector<std::string> files_;
};

}  // namespace trainyard
