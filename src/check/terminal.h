/// Formats text for a terminal: colours, and lines that fit its width.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "check/diagnose.h"

namespace trainyard {

/// Whether to write colours to `stream`, a file descriptor: it is a terminal, NO_COLOR is unset or empty, TERM is not
/// "dumb".
bool wants_colour(int stream);

/// The longest prefix of `text` with at most `room` columns, one per UTF-8 character.
std::string_view start_of(std::string_view text, std::size_t room);

/// Makes `raw` printable() and breaks it at spaces into lines of at most `columns`, next to a margin; lines after the
/// first start with the margin. A word that is too long for a line is cut.
std::string wrapped(std::string_view raw, std::size_t margin, std::size_t columns);

/// "error", "warning" or "note".
const char* name_of(Severity severity);

/// Fits text to a terminal and adds colours, or not.
class Painter {
 public:
  Painter(bool colour, std::size_t columns) : colour_(colour), columns_(columns) {}

  std::string operator()(const char* code, const std::string& text) const;
  std::string green(const std::string& text) const { return (*this)("32", text); }
  /// Red, yellow, cyan.
  std::string severity(Severity severity, const std::string& text) const;
  std::string wrapped(std::string_view raw, std::size_t margin) const {
    return trainyard::wrapped(raw, margin, columns_);
  }

 private:
  bool colour_;
  std::size_t columns_;
};

}  // namespace trainyard
