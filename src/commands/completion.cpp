// trainyard completion: prints a script with which a shell completes commands, flags and their values. The script
// contains all completions, because starting this program for each would take as long as LibTorch takes to load.

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "commands/catalog.h"
#include "commands/command.h"
#include "commands/topics.h"
#include "config/settings.h"
#include "util/output.h"

namespace trainyard {
namespace {

// What to offer for a value. If there is nothing, Bash completes file names.
const std::string files;
const std::string nothing = "-";

// Keyed by what precedes the value: "--train.precision" for a setting, "eval --split" for a command's flag, "list" for
// its positional arguments.
using Values = std::map<std::string, std::string>;

std::string words(const std::vector<std::string>& all) { return fmt::format("{}", fmt::join(all, " ")); }

std::string values_of(const Setting& setting) {
  for (const CatalogSection& section : catalog()) {
    if (std::ranges::find(section.settings, setting.key) == section.settings.end()) continue;
    std::vector<std::string> names;
    for (const auto& [name, description] : section.entries) names.push_back(name);
    return words(names);
  }
  if (std::holds_alternative<bool*>(setting.field)) return "true false";
  if (!setting.allowed.choices.empty()) return words(setting.allowed.choices);
  return setting.allowed.hint == any_text().hint ? files : nothing;
}

std::string values_of(const ArgumentHelp& argument) {
  if (!argument.choices.empty()) return words(argument.choices);
  return argument.hint == "TEXT" ? files : nothing;
}

// The flags of those of the settings that the command uses; a variable stands for all of them.
std::vector<std::string> flags_of_settings(const Command& command, const std::vector<std::string>& keys) {
  std::vector<std::string> flags;
  for (const std::string& key : keys) {
    if (command.uses(key)) flags.push_back("--" + key);
  }
  if (flags.size() == keys.size()) flags = {"$_trainyard_settings"};
  if (!flags.empty()) flags.emplace_back("--config");
  return flags;
}

// Adds the possible values of the command's arguments. Returns its flags.
std::vector<std::string> take_arguments(const std::string& command, const std::vector<std::string>& keys,
                                        Values& values) {
  const std::unique_ptr<Command> made = CommandRegistry::make(command);
  std::vector<std::string> flags = flags_of_settings(*made, keys);
  flags.emplace_back("--help");
  for (const ArgumentHelp& argument : arguments_added_by([&](Arguments& arguments) { made->bind(arguments); })) {
    if (!argument.name.starts_with("-")) {
      values.emplace(command, values_of(argument));
      continue;
    }
    for (std::size_t begin = 0; begin < argument.name.size();) {  // "-o,--output"
      const std::size_t end = std::min(argument.name.find(',', begin), argument.name.size());
      flags.push_back(argument.name.substr(begin, end - begin));
      if (!argument.hint.empty()) values[command + " " + flags.back()] = values_of(argument);
      begin = end + 1;
    }
  }
  return flags;
}

constexpr const char* bash_function = R"bash(
_trainyard() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words
  # Of "--flag=value" bash makes three words.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    words=$_trainyard_commands
  elif [[ $before == -* && -n ${_trainyard_values[$before]+known} ]]; then
    words=${_trainyard_values[$before]}
  elif [[ -n ${_trainyard_values["$command $before"]+known} ]]; then
    words=${_trainyard_values["$command $before"]}
  elif [[ $word != -* && -n ${_trainyard_values[$command]+known} ]]; then
    words=${_trainyard_values[$command]}
  else
    words=${_trainyard_flags[$command]-}
  fi
  if [[ $words == - ]]; then
    compopt +o default # no names of files either
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  fi
}
complete -o default -F _trainyard trainyard
)bash";

std::string bash_script() {
  Values values;
  values["--config"] = files;
  std::vector<std::string> keys;
  Config config;
  for (const Setting& setting : settings_in(config)) {
    if (!setting.flag) continue;
    keys.push_back(setting.key);
    values["--" + setting.key] = values_of(setting);
  }
  std::vector<std::string> commands = CommandRegistry::names();
  std::string flags;
  for (const std::string& command : commands) {
    flags += fmt::format("  [{}]=\"{}\"\n", command, words(take_arguments(command, keys, values)));
  }
  std::vector<std::string> topics = help_topics();
  topics.insert(topics.begin(), commands.begin(), commands.end());
  values["help"] = words(topics);
  commands.insert(commands.end(), {"help", "--help", "--version"});

  std::string text = "# Completes trainyard's command line in bash; made by `trainyard completion bash`.\n";
  text += fmt::format("_trainyard_commands=\"{}\"\n_trainyard_settings=\"--{}\"\n", words(commands),
                      fmt::join(keys, " --"));
  text += fmt::format("declare -gA _trainyard_flags=(\n{})\n", flags);
  text += "# Nothing between the quotes: names of files; -: nothing is offered.\ndeclare -gA _trainyard_values=(\n";
  for (const auto& [before, offered] : values) text += fmt::format("  [\"{}\"]=\"{}\"\n", before, offered);
  return text + ")\n" + bash_function;
}

class CompletionCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("shell", shell_, "for which shell", {.required = true, .one_of = {"bash"}});
  }

  bool uses(const std::string& /*key*/) const override { return false; }

  int run(const Config&) override {
    write_output(bash_script());
    return 0;
  }

 private:
  std::string shell_;
};

const CommandRegistry::Registration registered{"completion",
                                               "print a script that completes commands, flags and values in bash",
                                               [] { return std::make_unique<CompletionCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
