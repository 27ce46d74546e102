#include "commands/help.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "commands/columns.h"
#include "commands/topics.h"
#include "config/component.h"
#include "config/settings.h"

namespace trainyard {
namespace {

std::string paragraph(const std::string& text, std::size_t columns) { return wrapped(text, 0, 0, columns) + "\n"; }

std::string described(const std::string& help, const std::string& standard) {
  return standard.empty() ? help : fmt::format("{} ({})", help, standard);
}

// "checkpoint", "[checkpoint]" if it may be left out, "inputs..." if there may be several.
std::string usage_of(const ArgumentHelp& argument) {
  const std::string name = argument.name + (argument.repeated ? "..." : "");
  return argument.required ? name : "[" + name + "]";
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

std::string settings_rows(const Command& command, std::size_t columns) {
  Config config;
  std::string text;
  std::string section;
  for (const Setting& setting : settings_in(config)) {
    if (!setting.flag || !command.uses(setting.key)) continue;
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

std::string overview(std::size_t columns) {
  std::string text = paragraph("Trains neural networks with LibTorch.", columns);
  text += "\n" + paragraph("trainyard COMMAND [ARGUMENTS] [--config FILE ...] [--section.key VALUE ...]", columns);
  text += "\ncommands:\n";
  for (const std::string& name : CommandRegistry::names()) {
    text += row(name, CommandRegistry::find(name).description, 10, columns);
  }
  text += "\noptions:\n";
  text += row("-h,--help", "show this help", 10, columns);
  text += row("--version", "show the version, and those of the linked libraries", 10, columns);
  text += "\n" + paragraph("trainyard COMMAND --help shows the arguments of a command and its settings.", columns);
  return text +
         paragraph(fmt::format("trainyard help TOPIC prints a page: {}.", fmt::join(help_topics(), ", ")), columns);
}

std::string command_help(const std::string& name, const Command& command, const std::vector<ArgumentHelp>& arguments,
                         std::size_t columns) {
  std::string usage = "trainyard " + name;
  std::vector<std::string> groups = {"arguments", "options"};
  for (const ArgumentHelp& argument : arguments) {
    if (!argument.name.starts_with("-")) usage += " " + usage_of(argument);
    if (std::find(groups.begin(), groups.end(), argument.group) == groups.end() && !argument.group.empty()) {
      groups.push_back(argument.group);
    }
  }
  const std::string settings = settings_rows(command, columns);
  if (!settings.empty()) usage += " [--config FILE ...] [--section.key VALUE ...]";
  std::string text = paragraph(usage, columns);
  text += "\n" + paragraph(CommandRegistry::find(name).description, columns);
  for (const std::string& group : groups) text += argument_rows(group, arguments, columns);
  if (settings.empty()) return text;
  text += "\n" + paragraph(
                     "settings, as flags or in TOML files with sections (--config FILE, for each; a file overrides "
                     "those before it, and a flag overrides files):",
                     columns);
  return text + settings;
}

}  // namespace trainyard
