/// Parses settings on the command line: `--section.key VALUE` or `--section.key=VALUE`, and `--config FILE`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace trainyard {

class SettingFlags {
 public:
  /// Removes them from `arguments`, up to `--`, and leaves the rest to the command. A flag takes one value; the flag of
  /// a list may be repeated, once per item, and an empty value is no item: `--transform.train ""` empties the list.
  /// Throws UsageError for a flag without a value, a repeated flag, and a flag that was renamed.
  explicit SettingFlags(std::vector<std::string>& arguments);

  /// Applies the file of --config to `config`, then the flags, so a flag overrides the file and the file overrides the
  /// old values. Paths of an earlier run are resolved first (config/paths.h). A flag of a component that the
  /// configuration does not use is refused; the file's settings of a component that flags replace are ignored with a
  /// warning. Returns the keys that were given, whatever their values. Throws UsageError.
  std::vector<std::string> apply_to(Config& config) const;

 private:
  void take(const std::string& key, bool repeatable, const std::string& text);

  std::vector<std::pair<std::string, std::vector<std::string>>> given_;  ///< keys and values, in the order given
  std::optional<std::string> file_;
};

}  // namespace trainyard
