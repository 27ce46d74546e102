/// The settings that files and flags give, and errors about them that are known only once all of them are read.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"
#include "util/error.h"

namespace trainyard {

/// A setting in a file or a flag.
struct Given {
  std::string key;
  std::string place;      ///< "x.toml:3:1"; empty: a flag
  std::size_t layer = 0;  ///< settings of a higher layer override those of lower ones
};

/// Adds the settings of the next file, or the flags, as a layer above the others. Those given before are replaced.
void add_layer(std::vector<Given>& all, const std::vector<Given>& layer);

/// Throws UsageError that names the file, line and column, or the flag.
[[noreturn]] void refuse(const Given& given, const std::string& what);

/// Throws UsageError for a setting of a component that `config` does not use, unless a higher layer selects the one
/// that it uses instead. Returns a line about each setting that has no effect for this reason.
std::vector<std::string> require_used(const std::vector<Given>& all, Config& config);

/// Throws UsageError for a setting of a selected component or section that has no effect (Setting::only_if), unless its
/// value is the default. If a higher layer has made it so, resets it to the default instead, and returns a line about
/// it.
std::vector<std::string> require_effect(const std::vector<Given>& all, Config& config);

/// Returns `error` and, in a line each, where files give `key` and the settings that the error names.
std::string with_places(const std::string& error, const std::vector<Given>& all, const std::string& key);

/// Calls `check`, and adds to its UsageError where files give the settings concerned, `key` among them.
template <typename Check>
void check_given(const std::vector<Given>& all, const std::string& key, const Check& check) {
  try {
    check();
  } catch (const UsageError& error) {
    throw_error(ExitCode::usage, with_places(error.what(), all, key));
  }
}

}  // namespace trainyard
