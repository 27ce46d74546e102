#include "config/component.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/settings.h"

namespace trainyard {
namespace {

// Local to a function because registrations run before main in unspecified order.
std::map<std::string, const Component*>& by_prefix() {
  static std::map<std::string, const Component*> map;
  return map;
}

[[noreturn]] void refuse(const std::string& key, const std::string& file, const std::string& other) {
  fmt::print(stderr, "[config] setting '{}' is declared twice: in {} and in {}; rename one\n", key, file, other);
  std::abort();
}

std::string file_of(const Setting& setting) {
  return setting.component ? setting.component->file : "src/config/config.h";
}

}  // namespace

Component::Component(const std::string& prefix, std::vector<std::string> selecting, std::string source_file)
    : section(prefix.substr(0, prefix.find('.'))),
      name(prefix.substr(prefix.find('.') + 1)),
      used_by(std::move(selecting)),
      file(std::move(source_file)) {}

std::string Component::condition() const { return fmt::format("{}.name = {}", section, fmt::join(used_by, ", ")); }

bool Component::is_used_by(const std::string& selected) const {
  return std::find(used_by.begin(), used_by.end(), selected) != used_by.end();
}

std::vector<const Component*> components_of(const std::string& section) {
  std::vector<const Component*> result;
  for (const auto& [prefix, component] : by_prefix()) {
    if (component->section == section) result.push_back(component);
  }
  return result;
}

void register_component(const Component& component) {
  const auto [place, added] = by_prefix().try_emplace(component.prefix(), &component);
  if (!added) refuse(component.prefix(), place->second->file, component.file);
  Config config;
  std::map<std::string, std::string> files;
  for (const Setting& setting : settings_in(config)) {
    const auto [first, is_new] = files.try_emplace(setting.key, file_of(setting));
    if (!is_new) refuse(setting.key, first->second, file_of(setting));
  }
  if (const auto same = files.find(component.prefix()); same != files.end()) {
    refuse(component.prefix(), same->second, component.file);
  }
}

}  // namespace trainyard
