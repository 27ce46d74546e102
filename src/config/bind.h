/// The one place where settings meet their names: every field of Config is bound once, as a key of a TOML file and as a
/// flag `--section.key`, with its help and its range.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace CLI {
class App;
}

namespace trainyard {

/// Adds an option for every setting to `app`, writing into `config`, which must outlive the parsing; and `--config
/// FILE`. A flag beats the file, the file beats the defaults. Parsing throws UsageError for a key the file misspells
/// and CLI::ParseError for a wrong flag or value.
void bind(CLI::App& app, Config& config);

/// What a single key's range cannot say: keys that must agree. Throws UsageError.
void validate(const Config& config);

/// The configuration as TOML, every key with its value; reading it back gives the same configuration.
std::string to_toml(const Config& config);

/// Reads what to_toml wrote. `origin` is named in errors. Throws UsageError.
Config config_from_toml(const std::string& text, const std::string& origin);

/// A key whose value is not the same in two configurations, with both values as TOML writes them.
struct Difference {
  std::string key;
  std::string before;
  std::string after;
};

/// Every setting that differs, in the order of Config.
std::vector<Difference> differences(const Config& before, const Config& after);

}  // namespace trainyard
