/// Reads configurations from TOML, writes them, and compares two of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/given.h"
#include "config/setting.h"

namespace trainyard {

/// Applies the file `path` to `config` and returns the settings it gives. Throws UsageError with file, line and column
/// for invalid TOML; for an unknown key, naming its new name or the nearest known one; and for a value that its setting
/// does not allow. Settings of components that are not used are left to require_used(), as another file may select
/// them.
std::vector<Given> read_config_file(const std::string& path, Config& config);

/// Returns the configuration as TOML: every key with its value, except those of unused components. Reading it back
/// gives the same configuration. Throws UsageError if a value is not allowed.
std::string to_toml(const Config& config);

/// Reads the output of to_toml. Errors name `origin`. Throws UsageError.
Config config_from_toml(std::string_view text, const std::string& origin);

/// A key whose value differs between two configurations, with both values in TOML.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
  Resume resume;
};

/// Returns every setting that differs and that both configurations use, in the order of Config.
std::vector<Difference> differences(const Config& before, const Config& after);

}  // namespace trainyard
