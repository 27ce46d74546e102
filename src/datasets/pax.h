/// The extended headers of tar files (POSIX pax): text that replaces fields of the headers that follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

/// The fields of a pax header that a reader of regular files needs.
struct PaxFields {
  std::optional<std::string> path;
  std::optional<std::string> link;    ///< what a link refers to
  std::optional<std::uint64_t> size;  ///< below 2^63
  bool sparse = false;                ///< the content is a map of a sparse file and the parts that are not holes

  /// Takes the fields from the records of a header, each "length key=value\n"; later ones win, an empty value takes a
  /// field back. Returns false, with the fields in any state, if `records` are damaged.
  bool read(std::string_view records);
};

}  // namespace trainyard
