/// The settings table: every field of Config with its key, its help and what it may be. Flags, files, help and the
/// written configuration are made from it.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/value.h"

namespace trainyard {

struct Setting {
  std::string key;  ///< "section.field"
  Field field;      ///< in the Config given to settings_in
  const char* help;
  Allowed allowed;
  bool flag = true;  ///< false: only files have it
};

/// Every setting, in the order of Config, with its field in `config`, which must outlive them.
std::vector<Setting> settings_in(Config& config);

/// The setting of that key; nullptr if there is none.
const Setting* find_setting(const std::vector<Setting>& settings, const std::string& key);

/// The keys that a misspelt one was probably meant to be, nearest first. A field counts in any section, so that
/// "batch_size" and "train.batch_size" both find "loader.batch_size".
std::vector<std::string> nearest_keys(const std::string& key);

}  // namespace trainyard
