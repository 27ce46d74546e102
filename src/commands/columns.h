/// Fits texts to the width of the terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace trainyard {

/// Columns of the terminal: from COLUMNS, else from the terminal on standard output; at least 40. None if neither is
/// there, e.g. if standard output is a file.
std::optional<std::size_t> known_columns();

/// The same, or 100.
std::size_t terminal_columns();

/// Wraps `text` to lines of at most `columns`, all but the first indented; the first starts at column `at`. Only a word
/// longer than a line exceeds the limit.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t at, std::size_t columns);

/// A name and its meaning, next to it, or below it if the terminal is narrow or the name is long. A meaning without a
/// name continues the row before it.
std::string row(const std::string& name, const std::string& meaning, std::size_t name_columns, std::size_t columns);

}  // namespace trainyard
