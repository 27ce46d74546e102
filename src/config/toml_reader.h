/// TOML as a flat list of keys with their places. The only file behind this header includes toml++, which compiles
/// slowly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.h"

namespace trainyard {

struct TomlEntry {
  std::string key;  ///< "section.field"; a section that is empty is an entry of its own, with an Unfit value
  Value value;
  std::uint32_t line;
  std::uint32_t column;
};

/// Every key of the sections, in the order of the text, each once. `text` may come from anywhere. Throws UsageError
/// "[config] origin:line:column: ..." for what is not TOML.
std::vector<TomlEntry> read_toml(std::string_view text, const std::string& origin);

}  // namespace trainyard
