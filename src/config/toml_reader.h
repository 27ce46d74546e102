/// Parses TOML into a flat list of keys with their positions. Only the file that implements this header includes
/// toml++, which compiles slowly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.h"

namespace trainyard {

struct TomlEntry {
  std::string key;  ///< "section.field"; an empty section is an entry itself, with an Unfit value
  Value value;
  std::uint32_t line;
  std::uint32_t column;
};

/// Returns every key of the sections once, in the order of the text. `text` need not be trusted. Throws UsageError
/// "[config] origin:line:column: ..." for invalid TOML.
std::vector<TomlEntry> read_toml(std::string_view text, const std::string& origin);

}  // namespace trainyard
