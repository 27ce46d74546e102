/// The settings table: every setting of Config and of the components with its key, its help and what it may be. Flags,
/// files, help, docs/settings.md and the written configuration are made from it.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/setting.h"

namespace trainyard {

/// Every setting, in the order of Config, those of components after their section's own, with their fields in `config`,
/// which must outlive them.
std::vector<Setting> settings_in(Config& config);

/// The setting of that key; nullptr if there is none.
const Setting* find_setting(const std::vector<Setting>& settings, const std::string& key);

/// Why there is no such key: it has moved, "is now optimizer.sgd.momentum", or is misspelt, "did you mean ...".
std::string advice_on_unknown_key(const std::vector<Setting>& settings, const std::string& key);

/// Whether a key of this name was a setting in earlier versions.
bool has_moved(const std::vector<Setting>& settings, const std::string& key);

/// Why a setting of a component that the configuration does not use may not be given: names the setting that selects
/// it. Empty if it may be.
std::string refusal_of_unselected(const std::vector<Setting>& settings, const Setting& setting);

/// The keys that a misspelt one was probably meant to be, nearest first. A field counts in any section, so that
/// "batch_size" and "train.batch_size" both find "loader.batch_size".
std::vector<std::string> nearest_keys(const std::string& key);

}  // namespace trainyard
