/// Stores the values of components' settings in a section of Config.
#pragma once

#include <any>
#include <map>
#include <string>

namespace trainyard {

/// One settings struct per component, by its name; a component without an entry has its defaults. Copies are deep.
class ComponentValues {
 public:
  /// Returns nullptr if the component has its defaults.
  template <typename T>
  const T* find(const std::string& component) const {
    const auto found = values_.find(component);
    return found == values_.end() ? nullptr : std::any_cast<T>(&found->second);
  }

  template <typename T>
  T& at(const std::string& component) {
    const auto [place, added] = values_.try_emplace(component);
    if (added) place->second = T{};
    return *std::any_cast<T>(&place->second);
  }

 private:
  std::map<std::string, std::any> values_;
};

}  // namespace trainyard
