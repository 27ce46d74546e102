/// Splits texts into lines, e.g. files that people edit: class lists, labels, lists of files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// Returns the lines of `text`, which may begin with a byte order mark and end its lines with \n or \r\n. Spaces and
/// tabs at the end of a line and empty lines at the end of the text are dropped; empty lines elsewhere are kept.
std::vector<std::string> text_lines(std::string_view text);

/// `text` without the spaces and tabs around it. A view into `text`.
std::string_view trimmed(std::string_view text);

/// The text before the first \n; all of it if there is none. A view into `text`.
constexpr std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

}  // namespace trainyard
