/// Builds configurations for tests from command-line flags.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "config/flags.h"
#include "config/settings.h"

namespace trainyard {

/// Returns `config` changed by `flags`, which are separated by spaces: configured("--optimizer.name sgd
/// --optimizer.sgd.momentum 0").
inline Config configured(const std::string& flags, Config config = {}) {
  std::istringstream words(flags);
  std::vector<std::string> arguments;
  for (std::string word; words >> word;) arguments.push_back(word);
  SettingFlags(arguments).apply_to(config);
  return config;
}

/// Synthetic images of shape "height,width,channels".
inline DataConfig synthetic_data(const std::string& shape, int samples, int classes = 10) {
  return configured("--data.name synthetic --data.synthetic.shape " + shape + " --data.synthetic.samples " +
                    std::to_string(samples) + " --data.synthetic.classes " + std::to_string(classes))
      .data;
}

/// Returns the value of the setting `key`, whose field has type T.
template <typename T>
T setting_value(Config config, const std::string& key) {
  return *std::get<T*>(find_setting(settings_in(config), key)->field);
}

}  // namespace trainyard
