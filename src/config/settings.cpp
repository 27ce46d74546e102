#include "config/settings.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/component.h"
#include "util/printable.h"
#include "util/probable_key.h"

namespace trainyard {
namespace {

// Returns the value of a section's "name".
std::string name_in(const std::vector<Setting>& settings, const std::string& section) {
  return *std::get<std::string*>(find_setting(settings, section + ".name")->field);
}

}  // namespace

Setting& SettingTable::add_field(const char* key, SettingField field, const char* help, Allowed allowed,
                                 Resume resume) {
  settings_.push_back({.key = prefix_ + "." + key,
                       .field = field,
                       .help = help,
                       .allowed = std::move(allowed),
                       .resume = resume,
                       .component = component_,
                       .selected = selected_});
  return settings_.back();
}

void SettingTable::add_components(ComponentValues& values) {
  const std::string section = prefix_;
  const std::string selected = name_in(settings_, section);
  for (const Component* const component : components_of(section)) {
    prefix_ = component->prefix();
    component_ = component;
    selected_ = component->is_used_by(selected);
    component->declare(values, *this);
  }
  prefix_ = section;
  component_ = nullptr;
  selected_ = true;
}

std::vector<Setting> settings_in(Config& config) {
  SettingTable table;
  table.add_section("task", config.task);
  table.add_section("model", config.model);
  table.add_section("data", config.data);
  table.add_section("transform", config.transform);
  table.add_section("loader", config.loader);
  table.add_section("optimizer", config.optimizer);
  table.add_section("schedule", config.schedule);
  table.add_section("train", config.train);
  table.add_section("distributed", config.distributed);
  table.add_section("checkpoint", config.checkpoint);
  table.add_section("run", config.run);
  return std::move(table.settings());
}

const Setting* find_setting(const std::vector<Setting>& settings, const std::string& key) {
  const auto found =
      std::find_if(settings.begin(), settings.end(), [&](const Setting& setting) { return setting.key == key; });
  return found == settings.end() ? nullptr : &*found;
}

bool has_moved(const std::vector<Setting>& settings, const std::string& key) {
  return std::any_of(settings.begin(), settings.end(),
                     [&](const Setting& setting) { return !key.empty() && setting.former == key; });
}

std::string advice_on_unknown_key(const std::vector<Setting>& settings, const std::string& key) {
  std::vector<std::string> now;
  std::vector<std::string> selected;
  for (const Setting& setting : settings) {
    if (setting.former != key) continue;
    now.push_back(setting.key);
    if (setting.selected) selected.push_back(setting.key);
  }
  if (!now.empty()) return fmt::format("it is now {}", fmt::join(selected.empty() ? now : selected, " or "));
  const std::optional<std::string> meant = probable_key(key, flag_keys());
  return meant ? fmt::format("did you mean '{}'?", *meant) : "trainyard config lists all settings";
}

std::string reason_unselected(const std::vector<Setting>& settings, const Setting& setting) {
  const Component& component = *setting.component;
  return fmt::format("is of {}, but that is {}", component.condition(),
                     printable(name_in(settings, component.section), 100));
}

std::vector<std::string> flag_keys() {
  Config config;
  std::vector<std::string> keys;
  for (const Setting& setting : settings_in(config)) {
    if (setting.flag) keys.push_back(setting.key);
  }
  return keys;
}

}  // namespace trainyard
