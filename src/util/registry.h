/// Maps names to factories, which register themselves: a new model, dataset, transform or optimizer is one new file
/// with one `Registration` object, and no list elsewhere changes.
///
///     const ModelRegistry::Registration registered{"convnet", "small net for 28 px", make_convnet, __FILE__};
///
/// Such files must be linked as objects (src/CMakeLists.txt); a static library would drop them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/error.h"
#include "util/nearest.h"

namespace trainyard {

/// One registry per kind of component. `Kind` is a type with `static constexpr const char* name` ("model", ...), which
/// errors use; `Signature` is the factory's function type. Filled before main by static objects, read-only afterwards:
/// it is safe to read from any thread or process.
template <typename Kind, typename Signature>
class Registry {
 public:
  struct Entry {
    std::string description;  ///< one line, printed by `trainyard list`
    std::function<Signature> make;
    std::string file;  ///< the source file that registered it
  };

  struct Registration {
    /// A duplicate name ends the program and names both files: it can only be a mistake in the source. So does a name
    /// that could not be part of a setting's key and of a run's folder.
    Registration(const std::string& name, std::string description, std::function<Signature> make, std::string file) {
      constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
      if (name.empty() || name.find_first_not_of(allowed) != std::string::npos) {
        fmt::print(stderr, "[registry] {} '{}' in {} needs a name of letters, digits, _ and -\n", Kind::name, name,
                   file);
        std::abort();
      }
      const auto [place, inserted] = entries().try_emplace(name, Entry{std::move(description), std::move(make), file});
      if (!inserted) {
        fmt::print(stderr, "[registry] {} '{}' is registered twice: in {} and in {}; rename one\n", Kind::name, name,
                   place->second.file, file);
        std::abort();
      }
    }
  };

  /// Returns the entry of `name`. Throws UsageError listing the known names, nearest first.
  static const Entry& find(const std::string& name) {
    const auto found = entries().find(name);
    if (found == entries().end()) {
      throw UsageError(Kind::name, "there is no {} '{}'; known, nearest first: {}", Kind::name, name,
                       fmt::join(nearest_first(name, names()), ", "));
    }
    return found->second;
  }

  /// Calls the factory registered under `name`.
  template <typename... Args>
  static auto make(const std::string& name, Args&&... args) {
    return find(name).make(std::forward<Args>(args)...);
  }

  /// All names, sorted.
  static std::vector<std::string> names() {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries()) result.push_back(name);
    return result;
  }

 private:
  // Local to a function because registrations run before main in unspecified order.
  static std::map<std::string, Entry>& entries() {
    static std::map<std::string, Entry> map;
    return map;
  }
};

}  // namespace trainyard
