/// Configurations as TOML: reading a file, writing one, and what differs between two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace trainyard {

/// Sets what the file `path` holds. Throws UsageError with file, line and column for what is not TOML, for an unknown
/// key, with the nearest known one, and for a value that its setting does not allow.
void read_config_file(const std::string& path, Config& config);

/// The configuration as TOML, every key with its value; reading it back gives the same configuration. Throws UsageError
/// if a value is not allowed.
std::string to_toml(const Config& config);

/// Reads what to_toml wrote, also in earlier versions. `origin` is named in errors. Throws UsageError.
Config config_from_toml(std::string_view text, const std::string& origin);

/// A key whose value is not the same in two configurations, with both values as TOML writes them.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
};

/// Every setting that differs, in the order of Config.
std::vector<Difference> differences(const Config& before, const Config& after);

}  // namespace trainyard
