/// Configurations of tests, in the words of the command line.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "config/flags.h"
#include "config/settings.h"

namespace trainyard {

/// `config` with flags that blanks separate: configured("--optimizer.name sgd --optimizer.sgd.momentum 0").
inline Config configured(const std::string& flags, Config config = {}) {
  std::istringstream words(flags);
  std::vector<std::string> arguments;
  for (std::string word; words >> word;) arguments.push_back(word);
  SettingFlags(arguments).apply_to(config);
  return config;
}

/// Made-up images: samples of shape "height,width,channels".
inline DataConfig synthetic_data(const std::string& shape, int samples, int classes = 10) {
  return configured("--data.name synthetic --data.synthetic.shape " + shape + " --data.synthetic.samples " +
                    std::to_string(samples) + " --data.synthetic.classes " + std::to_string(classes))
      .data;
}

/// The value of the setting `key`, whose field is a T.
template <typename T>
T setting_value(Config config, const std::string& key) {
  return *std::get<T*>(find_setting(settings_in(config), key)->field);
}

}  // namespace trainyard
