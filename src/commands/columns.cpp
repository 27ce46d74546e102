#include "commands/columns.h"

#include <algorithm>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

namespace trainyard {
namespace {

constexpr std::size_t least_columns = 40;

}  // namespace

std::optional<std::size_t> known_columns() {
  winsize size{};
  const char* const variable = std::getenv("COLUMNS");
  if (const long given = variable ? std::strtol(variable, nullptr, 10) : 0; given > 0) {
    return std::max(static_cast<std::size_t>(given), least_columns);
  }
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return std::max(std::min<std::size_t>(size.ws_col, 120), least_columns);
}

std::size_t terminal_columns() { return known_columns().value_or(100); }

std::string wrapped(const std::string& text, std::size_t indent, std::size_t at, std::size_t columns) {
  std::string result;
  std::size_t column = at;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::size_t length = end - begin;
    if (column > indent && column + 1 + length > columns) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (begin > 0) {
      result += ' ';
      ++column;
    }
    result += text.substr(begin, length);
    column += length;
    begin = end + 1;
  }
  return result;
}

std::string row(const std::string& name, const std::string& meaning, std::size_t name_columns, std::size_t columns) {
  const std::size_t indent = columns < 80 ? 6 : name_columns + 4;
  std::string line = "  " + name;
  if (!name.empty() && (columns < 80 || line.size() + 2 > indent)) {
    line += "\n" + std::string(indent, ' ');
  } else {
    line.resize(indent, ' ');
  }
  return line + wrapped(meaning, indent, indent, columns) + "\n";
}

}  // namespace trainyard
