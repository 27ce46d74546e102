#include "check/terminal.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <unistd.h>

#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t longest = 64 << 10;

// The columns that a text occupies on the terminal: counts UTF-8 characters, not bytes.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string_view start_of(std::string_view text, std::size_t room) {
  std::size_t bytes = 0;
  for (std::size_t used = 0; bytes < text.size(); ++bytes) {
    if ((text[bytes] & 0xc0) != 0x80 && ++used > room) break;
  }
  return text.substr(0, bytes);
}

std::string wrapped(std::string_view raw, std::size_t margin, std::size_t columns) {
  const std::string safe = printable(raw, longest);
  std::string_view text = safe;
  const std::size_t room = columns - std::min(margin, columns / 2);
  std::string result;
  while (width(text) > room) {
    const std::string_view most = start_of(text, room + 1);
    std::size_t cut = most.rfind(' ');
    if (cut == std::string_view::npos || cut == 0) cut = start_of(text, room).size();
    result += std::string(text.substr(0, cut)) + "\n" + std::string(std::min(margin, columns / 2), ' ');
    text.remove_prefix(cut);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return result + std::string(text);
}

bool wants_colour(int stream) {
  const char* refused = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(stream) == 1 && !(refused && *refused) && terminal && std::strcmp(terminal, "dumb") != 0;
}

const char* name_of(Severity severity) {
  return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

std::string Painter::operator()(const char* code, const std::string& text) const {
  return colour_ ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
}

std::string Painter::severity(Severity severity, const std::string& text) const {
  return (*this)(severity == Severity::error ? "31" : severity == Severity::warning ? "33" : "36", text);
}

}  // namespace trainyard
