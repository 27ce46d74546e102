/// Configurations as TOML: reading a file, writing one, and what differs between two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/setting.h"

namespace trainyard {

/// Sets what the file `path` holds, and returns its keys. Throws UsageError with file, line and column for what is not
/// TOML, for an unknown key, with its new name or the nearest known one, for a value that its setting does not allow,
/// and for a setting of a component that the configuration does not use.
std::vector<std::string> read_config_file(const std::string& path, Config& config);

/// The configuration as TOML, every key with its value but for those of components that it does not use; reading it
/// back gives the same configuration. Throws UsageError if a value is not allowed.
std::string to_toml(const Config& config);

/// Reads what to_toml wrote. `origin` is named in errors. Throws UsageError.
Config config_from_toml(std::string_view text, const std::string& origin);

/// A key whose value is not the same in two configurations, with both values as TOML writes them.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
  Resume resume;
};

/// Every setting that differs and that both use, in the order of Config.
std::vector<Difference> differences(const Config& before, const Config& after);

}  // namespace trainyard
