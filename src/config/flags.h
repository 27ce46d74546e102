/// Settings on the command line: `--section.key VALUE` or `--section.key=VALUE`, and `--config FILE`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace trainyard {

class SettingFlags {
 public:
  /// Takes them out of `arguments`, up to `--`; what remains is the command's. A flag takes one value; the flag of a
  /// list may be given several times, once for each item, and an empty value is no item: `--transform.train ""` empties
  /// the list. Throws UsageError for a flag without a value, one given twice, and one that has another name now.
  explicit SettingFlags(std::vector<std::string>& arguments);

  /// Sets in `config` what the file of --config holds and then what the flags say: a flag beats the file, the file
  /// beats what was there. Paths of an earlier run are resolved first (config/paths.h). A flag of a component that the
  /// configuration does not use is refused; the file's settings of one that flags replace are left out with a warning.
  /// Returns the keys that were given, whatever their values. Throws UsageError.
  std::vector<std::string> apply_to(Config& config) const;

 private:
  void take(const std::string& key, bool repeatable, const std::string& text);

  std::vector<std::pair<std::string, std::vector<std::string>>> given_;  ///< keys and values, as they came
  std::optional<std::string> file_;
};

}  // namespace trainyard
