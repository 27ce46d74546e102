#include "commands/help.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "commands/command.h"
#include "commands/topics.h"
#include "config/component.h"
#include "config/settings.h"

namespace trainyard {
namespace {

constexpr std::size_t least_columns = 40;

// Wraps `text` to lines of at most `columns`, all but the first indented; the first starts at column `at`. Only a word
// longer than a line exceeds the limit.
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

// A name and its meaning, next to it, or below it if the terminal is narrow or the name is long.
std::string row(const std::string& name, const std::string& meaning, std::size_t name_columns, std::size_t columns) {
  const std::size_t indent = columns < 80 ? 6 : name_columns + 4;
  std::string line = "  " + name;
  if (columns < 80 || line.size() + 2 > indent) {
    line += "\n" + std::string(indent, ' ');
  } else {
    line.resize(indent, ' ');
  }
  return line + wrapped(meaning, indent, indent, columns) + "\n";
}

std::string paragraph(const std::string& text, std::size_t columns) { return wrapped(text, 0, 0, columns) + "\n"; }

std::string described(const std::string& help, const std::string& standard) {
  return standard.empty() ? help : fmt::format("{} ({})", help, standard);
}

std::string argument_rows(const std::string& heading, const std::vector<ArgumentHelp>& arguments, std::size_t columns) {
  std::string text;
  for (const ArgumentHelp& argument : arguments) {
    const bool positional = !argument.name.starts_with("-");
    const std::string group = !argument.group.empty() ? argument.group : positional ? "arguments" : "options";
    if (group != heading) continue;
    const bool with_hint = !argument.hint.empty() && !(positional && argument.hint == "TEXT");
    text += row(with_hint ? argument.name + " " + argument.hint : argument.name,
                described(argument.help, argument.standard), 26, columns);
  }
  return text.empty() ? text : fmt::format("\n{}:\n{}", heading, text);
}

std::string settings_rows(std::size_t columns) {
  Config config;
  std::string text;
  std::string section;
  for (const Setting& setting : settings_in(config)) {
    if (!setting.flag) continue;
    if (setting.section() != section) {
      section = setting.section();
      const std::string use = setting.component ? " if " + setting.component->condition() : "";
      text += fmt::format("\n{}\n", wrapped(fmt::format("[{}]{}", section, use), 4, 0, columns));
    }
    const std::string standard = toml_value(value_of(setting.field));
    text += row(fmt::format("--{} {}", setting.key, setting.allowed.hint),
                described(setting.help, standard == "\"\"" || standard == "[]" ? "" : standard), 36, columns);
  }
  return text;
}

}  // namespace

std::size_t terminal_columns() {
  std::size_t columns = 100;
  winsize size{};
  const char* const variable = std::getenv("COLUMNS");
  if (const long given = variable ? std::strtol(variable, nullptr, 10) : 0; given > 0) {
    columns = static_cast<std::size_t>(given);
  } else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    columns = std::min<std::size_t>(size.ws_col, 120);
  }
  return std::max(columns, least_columns);
}

std::string overview(std::size_t columns) {
  std::string text = paragraph("Trains neural networks with LibTorch.", columns);
  text += "\n" + paragraph("trainyard COMMAND [ARGUMENTS] [--config FILE] [--section.key VALUE ...]", columns);
  text += "\ncommands:\n";
  for (const std::string& name : CommandRegistry::names()) {
    text += row(name, CommandRegistry::find(name).description, 10, columns);
  }
  text += "\noptions:\n";
  text += row("-h,--help", "show this help", 10, columns);
  text += row("--version", "show the version, and those of the linked libraries", 10, columns);
  text += "\n" + paragraph("trainyard COMMAND --help shows the arguments of a command and all settings.", columns);
  return text +
         paragraph(fmt::format("trainyard help TOPIC prints a page: {}.", fmt::join(help_topics(), ", ")), columns);
}

std::string command_help(const std::string& command, const std::vector<ArgumentHelp>& arguments, std::size_t columns) {
  std::string usage = "trainyard " + command;
  std::vector<std::string> groups = {"arguments", "options"};
  for (const ArgumentHelp& argument : arguments) {
    if (!argument.name.starts_with("-")) usage += " " + argument.name;
    if (std::find(groups.begin(), groups.end(), argument.group) == groups.end() && !argument.group.empty()) {
      groups.push_back(argument.group);
    }
  }
  std::string text = paragraph(usage + " [--config FILE] [--section.key VALUE ...]", columns);
  text += "\n" + paragraph(CommandRegistry::find(command).description, columns);
  for (const std::string& group : groups) text += argument_rows(group, arguments, columns);
  text +=
      "\n" + paragraph("settings, as flags or in a TOML file with sections (--config FILE; a flag overrides the file):",
                       columns);
  return text + settings_rows(columns);
}

}  // namespace trainyard
