/// The values of components' settings, as a section of Config holds them.
#pragma once

#include <any>
#include <map>
#include <string>

namespace trainyard {

/// One settings struct for each component by its name; what is not there has its defaults. Copies are deep.
class ComponentValues {
 public:
  /// nullptr: the component has its defaults.
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
