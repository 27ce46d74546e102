/// Settings, and the table in which sections and components declare them. A settings struct has a member
///
///     void declare(SettingTable& table) {
///       table.add("momentum", momentum, "momentum", number(0, 1), Resume::if_named);
///     }
///
/// which is the only declaration of a setting; the field's initial value is the default.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/allowed.h"
#include "config/component_values.h"
#include "config/value.h"
#include "config/words.h"

namespace trainyard {

class Component;

/// Whether a run may resume with another value than it started with.
enum class Resume : std::uint8_t {
  fixed,     ///< no: it would be a different run
  if_named,  ///< if the user names the run, e.g. to train it longer
  free,      ///< yes
};
constexpr std::array<const char*, 3> words_of(Resume) { return {"fixed", "if named", "free"}; }

/// The values of another setting under which a setting has an effect.
struct Condition {
  std::string key;     ///< of the other setting: "loader.workers"
  std::string values;  ///< in words: "> 0", "= shm", "is set"
  bool holds = true;
};

struct Setting {
  std::string key;     ///< "loader.workers", "optimizer.sgd.momentum"
  SettingField field;  ///< in the Config given to settings_in
  std::string help;
  Allowed allowed;
  Resume resume;
  const Component* component = nullptr;  ///< the component that declares it; nullptr: a section of Config
  bool selected = true;                  ///< whether the configuration uses that component
  bool flag = true;                      ///< false: can be set in files only
  std::string former{};                  ///< its key in earlier versions; empty: none
  Condition condition{};

  Setting& formerly(std::string former_key) {
    former = std::move(former_key);
    return *this;
  }
  /// Declares that the setting has an effect only under a condition, which `holds` now: only_if(workers > 0,
  /// "loader.workers", "> 0"). Otherwise giving it another value than the default is refused (require_effect).
  Setting& only_if(bool holds, std::string other, std::string values) {
    condition = {std::move(other), std::move(values), holds};
    return *this;
  }
  /// "optimizer.sgd" for "optimizer.sgd.momentum".
  std::string section() const { return key.substr(0, key.rfind('.')); }
  /// "momentum" for the same key.
  std::string name() const { return key.substr(key.rfind('.') + 1); }
};

/// Settings in the order of declaration. Points into the structs that declare them.
class SettingTable {
 public:
  /// Calls `declare`; its keys are below `prefix`.
  template <typename Section>
  void add_section(const std::string& prefix, Section& section) {
    prefix_ = prefix;
    section.declare(*this);
  }

  /// The result is valid until the next call.
  template <typename T>
  Setting& add(const char* key, T& field, const char* help, Allowed allowed, Resume resume) {
    return add_field(key, &field, help, std::move(allowed), resume);
  }
  /// For booleans, free text and enumerations, the type determines the allowed values.
  Setting& add(const char* key, bool& field, const char* help, Resume resume) {
    return add_field(key, &field, help, true_or_false(), resume);
  }
  Setting& add(const char* key, std::string& field, const char* help, Resume resume) {
    return add_field(key, &field, help, any_text(), resume);
  }
  Setting& add(const char* key, std::vector<std::string>& field, const char* help, Resume resume) {
    return add_field(key, &field, help, any_text(), resume);
  }
  template <WordEnum T>
  Setting& add(const char* key, T& field, const char* help, Resume resume) {
    return add_field(key, EnumField{reinterpret_cast<unsigned char*>(&field), all_words<T>}, help,
                     one_of(std::vector<std::string>(all_words<T>.begin(), all_words<T>.end())), resume);
  }

  /// Adds the settings of all components of this section (config/component.h), sorted by component name. REQUIRES that
  /// the section has declared "name", which selects one.
  void add_components(ComponentValues& values);

  std::vector<Setting>& settings() { return settings_; }

 private:
  Setting& add_field(const char* key, SettingField field, const char* help, Allowed allowed, Resume resume);

  std::string prefix_;
  const Component* component_ = nullptr;
  bool selected_ = true;
  std::vector<Setting> settings_;
};

}  // namespace trainyard
