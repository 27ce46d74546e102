#include "config/config_file.h"

#include <algorithm>

#include "config/settings.h"
#include "config/toml_reader.h"
#include "config/validate.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

bool is_section(const std::vector<Setting>& settings, const std::string& name) {
  return std::any_of(settings.begin(), settings.end(),
                     [&](const Setting& setting) { return setting.key.starts_with(name + "."); });
}

std::vector<Given> apply_toml(std::string_view text, const std::string& origin, Config& config) {
  std::vector<Given> result;
  const std::vector<Setting> settings = settings_in(config);
  for (const TomlEntry& entry : read_toml(text, origin)) {
    const Given given{entry.key, fmt::format("{}:{}:{}", printable(origin), entry.line, entry.column)};
    const Setting* const setting = find_setting(settings, entry.key);
    if (!setting) {
      if (std::holds_alternative<Unfit>(entry.value.of) && is_section(settings, entry.key)) continue;  // empty
      throw UsageError("config", "{}: there is no key '{}'; {}", given.place, printable(entry.key),
                       advice_on_unknown_key(settings, entry.key));
    }
    if (const std::string wrong = assign(setting->field, setting->allowed, entry.value); !wrong.empty()) {
      refuse(given, wrong);
    }
    result.push_back(given);
  }
  return result;
}

}  // namespace

std::vector<Given> read_config_file(const std::string& path, Config& config) {
  constexpr std::size_t most_bytes = 1 << 20;
  std::string text;
  try {
    text = read_text_file(path, "config", most_bytes);
  } catch (const RunError& error) {
    throw_error(ExitCode::usage, error.what());
  }
  return apply_toml(text, path, config);
}

Config config_from_toml(std::string_view text, const std::string& origin) {
  Config config;
  require_used(apply_toml(text, origin, config), config);
  return config;
}

std::string to_toml(const Config& config) {
  validate_values(config);
  Config copy = config;
  std::string text;
  std::string section;
  for (const Setting& setting : settings_in(copy)) {
    if (!setting.selected) continue;
    if (setting.section() != section) {
      section = setting.section();
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("{} = {}\n", setting.name(), toml_value(value_of(setting.field)));
  }
  return text;
}

std::vector<Difference> differences(const Config& before, const Config& after) {
  Config copies[] = {before, after};
  const std::vector<Setting> old_settings = settings_in(copies[0]);
  const std::vector<Setting> new_settings = settings_in(copies[1]);
  std::vector<Difference> result;
  for (std::size_t i = 0; i < old_settings.size(); ++i) {
    if (!old_settings[i].selected || !new_settings[i].selected) continue;
    std::string old_value = toml_value(value_of(old_settings[i].field));
    std::string new_value = toml_value(value_of(new_settings[i].field));
    if (old_value != new_value) {
      result.push_back({old_settings[i].key, std::move(old_value), std::move(new_value), old_settings[i].resume});
    }
  }
  return result;
}

}  // namespace trainyard
