#include "config/run_name.h"

#include <string>

#include "config/settings.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

std::string value_text(const Setting& setting) {
  const Value value = value_of(setting.field);
  const std::string* const text = std::get_if<std::string>(&value.of);
  return text ? *text : toml_value(value);
}

std::string value_of_key(const std::vector<Setting>& settings, const std::string& key) {
  if (key == "run.name") {
    throw UsageError("run.name", "cannot contain itself: name another setting than '{{run.name}}'");
  }
  const Setting* const setting = find_setting(settings, key);
  if (setting && !setting->selected) {
    throw UsageError("run.name", "'{{{}}}' {}; name a setting that the run has", key,
                     reason_unselected(settings, *setting));
  }
  if (setting) return value_text(*setting);
  throw UsageError("run.name", "there is no setting '{}' to put in place of '{{{}}}'; {}", printable(key),
                   printable(key), advice_on_unknown_key(settings, key));
}

}  // namespace

void expand_run_name(Config& config) {
  const std::vector<Setting> settings = settings_in(config);
  const std::string given = config.run.name;
  std::string name;
  std::size_t at = 0;
  while (true) {
    const std::size_t open = std::min(given.find_first_of("{}", at), given.size());
    name += given.substr(at, open - at);
    if (open == given.size()) break;
    const std::size_t close = given.find_first_of("{}", open + 1);
    if (given[open] == '}' || close == std::string::npos || given[close] == '{') {
      throw UsageError("run.name", "'{}' has a brace without a partner; write a placeholder as {{train.seed}}",
                       printable(given));
    }
    name += value_of_key(settings, given.substr(open + 1, close - open - 1));
    at = close + 1;
  }
  config.run.name = name;
}

}  // namespace trainyard
