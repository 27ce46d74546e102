/// Makes text from outside (names of files, tensors, tar members and classes, output of other programs) safe to show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trainyard {

/// Returns the length in bytes of the longest prefix of `text` that is well-formed UTF-8 (RFC 3629).
std::size_t valid_utf8_prefix(std::string_view text);

inline bool is_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

/// Returns `text` as one line without effects on a terminal: control characters, bytes that are not UTF-8, and
/// characters that reorder text are written as \n, \t or \xNN. If the result exceeds `most` bytes, it is cut and ends
/// in "... (N bytes)", where N is the size of `text`.
std::string printable(std::string_view text, std::size_t most = 256);

/// The same for several lines: \n ends a line and is kept.
std::string printable_lines(std::string_view text, std::size_t most = 64 << 10);

}  // namespace trainyard
