/// Text for a terminal: colours and lines of at most 80 columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "check/diagnose.h"

namespace trainyard {

/// Whether `stream`, a file descriptor, is to get colours: a terminal, NO_COLOR not set or empty, TERM not "dumb".
bool wants_colour(int stream);

/// The longest start of `text` of at most `room` columns, a UTF-8 character each.
std::string_view start_of(std::string_view text, std::size_t room);

/// Makes `raw` printable() and breaks it at blanks so that it fits beside a margin; the lines after the first start
/// with the margin. A word that is too long for a line is cut.
std::string wrapped(std::string_view raw, std::size_t margin);

/// "error", "warning" or "note".
const char* name_of(Severity severity);

/// Colours, or none.
class Painter {
 public:
  explicit Painter(bool colour) : colour_(colour) {}

  std::string operator()(const char* code, const std::string& text) const;
  std::string green(const std::string& text) const { return (*this)("32", text); }
  /// Red, yellow, cyan.
  std::string severity(Severity severity, const std::string& text) const;

 private:
  bool colour_;
};

}  // namespace trainyard
