/// The settings table: every setting of Config and of the components, with its key, help and allowed values. Flags,
/// files, help, docs/settings.md and the written configuration are generated from it.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/setting.h"

namespace trainyard {

/// Returns every setting in the order of Config, those of components after their section's own. The settings point into
/// `config`, which must outlive them.
std::vector<Setting> settings_in(Config& config);

/// Returns the setting with this key; nullptr if there is none.
const Setting* find_setting(const std::vector<Setting>& settings, const std::string& key);

/// Explains why a key is unknown: it has moved ("is now optimizer.sgd.momentum") or is misspelt ("did you mean ...").
std::string advice_on_unknown_key(const std::vector<Setting>& settings, const std::string& key);

/// Whether this key was a setting in earlier versions.
bool has_moved(const std::vector<Setting>& settings, const std::string& key);

/// Explains why a setting of a component has no effect: "is of optimizer.name = sgd, but that is adamw". REQUIRES that
/// the configuration does not use the component.
std::string reason_unselected(const std::vector<Setting>& settings, const Setting& setting);

/// Returns the keys of all settings that may be given as flags.
std::vector<std::string> flag_keys();

}  // namespace trainyard
