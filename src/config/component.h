/// Declares the settings of a registered component (a model, dataset, optimizer or schedule) in the component's own
/// file:
///
///     struct SgdSettings {
///       double momentum = 0.9;
///       void declare(SettingTable& table) {
///         table.add("momentum", momentum, "momentum", number(0, 1), Resume::if_named);
///       }
///     };
///     const ComponentSettings<SgdSettings> settings{"optimizer.sgd", {"sgd"}, __FILE__};
///
/// The key is optimizer.sgd.momentum, allowed if optimizer.name is sgd. The factory reads settings.in(config).
#pragma once

#include <string>
#include <vector>

#include "config/setting.h"

namespace trainyard {

/// A component as the settings table knows it. Registered before main and never changed or removed: safe to read from
/// any thread or process.
class Component {
 public:
  /// `prefix` is "<section>.<component>", `selecting` the values of <section>.name that select it.
  Component(const std::string& prefix, std::vector<std::string> selecting, std::string source_file);
  Component(const Component&) = delete;
  Component& operator=(const Component&) = delete;
  virtual ~Component() = default;

  /// Adds its settings, with their fields in `values`.
  virtual void declare(ComponentValues& values, SettingTable& table) const = 0;
  /// Throws UsageError for contradictory settings.
  virtual void validate(const ComponentValues& values) const = 0;

  std::string prefix() const { return section + "." + name; }
  /// The condition under which its settings are used: "model.name = vit_tiny, vit_small".
  std::string condition() const;
  /// Whether <section>.name = `selected` uses it.
  bool is_used_by(const std::string& selected) const;

  const std::string section;               ///< "optimizer"
  const std::string name;                  ///< "sgd"
  const std::vector<std::string> used_by;  ///< never empty
  const std::string file;                  ///< the source file that declares it
};

/// All components of a section, by name.
std::vector<const Component*> components_of(const std::string& section);

/// A key that is declared twice, by one or two components, ends the program and names both files: it can only be a
/// mistake in the source.
void register_component(const Component& component);

/// The settings of a component, as a static object. If T has `void validate() const`, it is called if the component is
/// selected, and throws UsageError for contradictory settings.
template <typename T>
class ComponentSettings final : public Component {
 public:
  ComponentSettings(const std::string& prefix, std::vector<std::string> selecting, std::string source_file)
      : Component(prefix, std::move(selecting), std::move(source_file)) {
    register_component(*this);
  }

  /// The settings as set in a section of Config, which must outlive the result.
  template <typename Section>
  const T& in(const Section& config) const {
    static const T defaults{};
    const T* const found = config.components.template find<T>(name);
    return found ? *found : defaults;
  }

  void declare(ComponentValues& values, SettingTable& table) const override { values.at<T>(name).declare(table); }

  void validate(const ComponentValues& values) const override {
    if constexpr (requires(const T& settings) { settings.validate(); }) {
      if (const T* const found = values.find<T>(name)) found->validate();
    }
  }
};

}  // namespace trainyard
