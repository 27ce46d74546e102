#include "check/facts_text.h"

#include <utility>

#include "check/facts_fields.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t most = 64u << 10;

struct Cleaner {
  template <typename T>
  void operator()(const char*, T& value) {
    clean(value);
  }

  template <typename T>
  static void clean(T& value) {
    if constexpr (requires(Cleaner& cleaner) { fields(cleaner, value); }) {
      Cleaner cleaner;
      fields(cleaner, value);
    }
  }
  static void clean(std::string& text) { text = printable(text, most); }
  template <typename T>
  static void clean(std::vector<T>& values) {
    for (T& value : values) clean(value);
  }
  static void clean(std::map<std::string, std::string>& values) {
    std::map<std::string, std::string> cleaned;
    for (const auto& [key, value] : values) cleaned.emplace(printable(key, most), printable(value, most));
    values = std::move(cleaned);
  }
};

}  // namespace

Facts printable_facts(Facts facts) {
  Cleaner::clean(facts);
  return facts;
}

Needs printable_needs(Needs needs) {
  Cleaner::clean(needs);
  return needs;
}

}  // namespace trainyard
