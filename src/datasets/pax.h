/// Parses the extended headers of tar files (POSIX pax): text that overrides fields of the headers that follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

/// The fields of a pax header that a reader of regular files needs.
struct PaxFields {
  std::optional<std::string> path;
  std::optional<std::string> link;    ///< the target of a link
  std::optional<std::uint64_t> size;  ///< below 2^63
  bool sparse = false;                ///< the content is a map of a sparse file, then its parts that are not holes

  /// Parses the records of a header, each "length key=value\n"; later ones win, and an empty value removes a field.
  /// Returns false, with the fields in an unspecified state, if `records` are damaged.
  bool read(std::string_view records);
};

}  // namespace trainyard
