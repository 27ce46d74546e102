#include "config/flags.h"

#include <algorithm>
#include <iterator>

#include "config/config_file.h"
#include "config/paths.h"
#include "config/settings.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {

SettingFlags::SettingFlags(std::vector<std::string>& arguments) {
  Config config;
  const std::vector<Setting> settings = settings_in(config);
  std::vector<std::string> others;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--") {
      others.insert(others.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
      break;
    }
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string key = word.starts_with("--") ? word.substr(2, equals - 2) : "";
    const Setting* const setting = find_setting(settings, key);
    if (!setting && has_moved(settings, key)) {
      throw UsageError("trainyard", "there is no flag '--{}'; {}", key, advice_on_unknown_key(settings, key));
    }
    if (key != "config" && (!setting || !setting->flag)) {
      others.push_back(word);
      continue;
    }
    const bool repeatable = !setting || is_list(setting->field);
    if (equals < word.size()) {
      take(key, repeatable, word.substr(equals + 1));
    } else if (i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) {
      take(key, repeatable, arguments[++i]);
    } else {
      throw UsageError("trainyard", "--{} needs a value: {}", key, setting ? setting->allowed.words : "a TOML file");
    }
  }
  arguments = std::move(others);
  const auto files = std::find_if(given_.begin(), given_.end(), [](const auto& one) { return one.first == "config"; });
  if (files == given_.end()) return;
  files_ = files->second;
  given_.erase(files);
}

void SettingFlags::take(const std::string& key, bool repeatable, const std::string& text) {
  const auto found = std::find_if(given_.begin(), given_.end(), [&](const auto& one) { return one.first == key; });
  if (found == given_.end()) {
    given_.push_back({key, {text}});
  } else if (repeatable) {
    found->second.push_back(text);
  } else {
    throw UsageError("trainyard", "--{} is given twice, as '{}' and as '{}'; give it once", key,
                     printable(found->second.front()), printable(text));
  }
}

std::vector<Given> SettingFlags::apply_flags_to(Config& config) const {
  std::vector<Given> result;
  const std::vector<Setting> settings = settings_in(config);
  for (const auto& [key, texts] : given_) {
    const Given given{key, ""};
    const Setting& setting = *find_setting(settings, key);
    const std::string wrong = assign(setting.field, setting.allowed, value_from_texts(setting.field, texts));
    if (!wrong.empty()) refuse(given, wrong);
    result.push_back(given);
  }
  return result;
}

Applied SettingFlags::apply_to(Config& config) const {
  Applied applied;
  const auto note = [&](std::vector<std::string> notes) {
    std::ranges::move(notes, std::back_inserter(applied.notes));
  };
  note(resolve_paths(config));
  for (const std::string& file : files_) {
    add_layer(applied.given, read_config_file(file, config));
    note(resolve_paths(config));
  }
  add_layer(applied.given, apply_flags_to(config));
  note(resolve_paths(config));
  note(require_used(applied.given, config));
  note(require_effect(applied.given, config));
  return applied;
}

}  // namespace trainyard
