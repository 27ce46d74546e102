#include "commands/command_line.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/version.h"
#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/run_config.h"
#include "commands/columns.h"
#include "commands/help.h"
#include "commands/page.h"
#include "commands/topics.h"
#include "config/flags.h"
#include "config/run_name.h"
#include "config/settings.h"
#include "config/validate.h"
#include "datasets/dataset.h"
#include "distributed/rank.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "transforms/pipeline.h"
#include "util/log.h"
#include "util/nearest.h"
#include "util/output.h"
#include "util/printable.h"
#include "util/probable_key.h"

namespace trainyard {
namespace {

constexpr const char* where = "trainyard";

bool asks_for_help(const std::string& word) { return word == "-h" || word == "--help"; }

// Returns "did you mean '--train.epochs'?", or `otherwise` if the word `flag` is like none of `flags` and like no
// setting.
std::string advice_on_flag(const std::string& flag, const std::vector<std::string>& flags,
                           const std::string& otherwise) {
  const auto without_dashes = [](const std::string& word) {
    return word.substr(std::min(word.find_first_not_of('-'), word.size()));
  };
  std::vector<std::string> known = flag_keys();
  for (const std::string& one : flags) known.push_back(without_dashes(one));
  const std::optional<std::string> meant = probable_key(without_dashes(flag), known);
  return meant ? fmt::format("did you mean '--{}'?", *meant) : otherwise;
}

UsageError unknown_word(const std::string& word, const std::string& command, const std::vector<std::string>& flags,
                        bool takes_words) {
  const std::string flag = word.substr(0, word.find('='));
  if (flag.starts_with("-")) {
    return {where,
            "{} has no flag '{}'; {} {}See trainyard {} --help",
            command,
            printable(flag),
            advice_on_flag(flag, flags, "trainyard config lists all settings."),
            takes_words ? "Put words that begin with a dash but are not flags after --. " : "",
            command};
  }
  const std::string advice =
      advice_on_flag(flag, flags, "a flag takes one value, and the flag of a list is given once for each item.");
  return {where,  "'{}' is not an argument of {}; {} See trainyard {} --help", printable(word), command, advice,
          command};
}

// A command with its own arguments, which CLI11 parses.
class ParsedCommand {
 public:
  explicit ParsedCommand(const std::string& name)
      : name_(name), command_(CommandRegistry::make(name)), arguments_(app_) {
    app_.allow_extras();
    command_->bind(arguments_);
  }

  // Returns false if --help was requested and printed.
  bool parse(std::vector<std::string> words) {
    for (std::string& word : words) {
      // CLI11 would parse it as a list. All positional arguments that may look like one are paths.
      if (word.starts_with('[') && word.ends_with(']')) word.insert(0, "./");
    }
    std::reverse(words.begin(), words.end());
    try {
      app_.parse(words);
    } catch (const CLI::CallForHelp&) {
      print_text(command_help(name_, *command_, arguments_.help(), terminal_columns()));
      return false;
    } catch (const CLI::ParseError& error) {
      refuse_unknown();  // the more likely cause
      throw UsageError(where, "{}: {}; see trainyard {} --help", name_, printable(error.what(), 1000), name_);
    }
    refuse_unknown();
    return true;
  }

  std::unique_ptr<Command>& command() { return command_; }

 private:
  void refuse_unknown() const {
    std::vector<std::string> unknown = app_.remaining();
    // CLI11 also leaves the -- behind which all words are positional.
    if (const auto mark = std::ranges::find(unknown, "--"); mark != unknown.end()) unknown.erase(mark);
    if (unknown.empty()) return;
    std::vector<std::string> flags = {"--config", "--help"};
    bool takes_words = false;
    for (const CLI::Option* option : app_.get_options()) {
      takes_words = takes_words || option->get_positional();
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
    throw unknown_word(unknown.front(), name_, flags, takes_words);
  }

  std::string name_;
  std::unique_ptr<Command> command_;
  CLI::App app_;
  Arguments arguments_;
};

// Wrong values and unknown components end the program before anything expensive starts.
void require_valid(const Config& config, const std::vector<Given>& given) {
  check_given(given, "", [&] { validate(config); });
  check_given(given, "data.name", [&] { DatasetRegistry::find(config.data.name); });
  check_given(given, "model.name", [&] { ModelRegistry::find(config.model.name); });
  check_given(given, "optimizer.name", [&] { OptimizerRegistry::find(config.optimizer.name); });
  check_given(given, "schedule.name", [&] { ScheduleRegistry::find(config.schedule.name); });
  check_given(given, "transform.train", [&] { check_transforms(config.transform.train); });
  check_given(given, "transform.test", [&] { check_transforms(config.transform.test); });
}

// Prints the page of a topic. Returns false if `topic` is a command or a flag.
bool print_page(const std::string& topic, const std::vector<std::string>& commands) {
  if (std::ranges::find(commands, topic) != commands.end() || topic.starts_with("-")) return false;
  if (const std::string_view page = help_page(topic); !page.empty()) {
    const std::optional<std::size_t> columns = known_columns();
    write_output(columns ? fitted_page(page, *columns) : page);  // a file gets the page as it is in docs/
    return true;
  }
  std::vector<std::string> known = help_topics();
  known.insert(known.end(), commands.begin(), commands.end());
  throw UsageError("help", "there is no topic or command '{}'; known, nearest first: {}", printable(topic),
                   fmt::join(nearest_first(topic, known), ", "));
}

// A flag that makes no difference is a mistake. A file may hold all settings of a training.
void require_used_by(const Command& command, const std::string& name, const std::vector<Given>& given) {
  const bool uses_one = std::ranges::any_of(given, [&](const Given& one) { return command.uses(one.key); });
  for (const Given& one : given) {
    if (command.uses(one.key) || (uses_one && !one.place.empty())) continue;
    throw UsageError(where, "{} makes no use of the setting {}; leave it out", name, one.key);
  }
}

Config resolved_config(const std::string& name, Command& command, const SettingFlags& flags) {
  Config config;
  if (const std::string given = command.checkpoint(); !given.empty()) {
    const std::filesystem::path checkpoint = resolve_checkpoint(given);
    config = read_config(checkpoint);
  }
  const auto [given, notes] = flags.apply_to(config);
  if (!notes.empty() && rank_of_process().is_first()) {
    for (const std::string& note : notes) log_warning(note);
  }
  for (const Given& one : given) command.given_settings.push_back(one.key);
  require_used_by(command, name, given);
  check_given(given, "run.name", [&] { expand_run_name(config); });
  require_valid(config, given);
  return config;
}

}  // namespace

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const std::vector<std::string> commands = CommandRegistry::names();
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    if (words.size() == 1 && print_page(words.front(), commands)) return std::nullopt;
    words.insert(words.begin() + (words.empty() ? 0 : 1), "--help");
  }
  const SettingFlags flags(words);
  if (words.empty()) {
    throw UsageError(where, "a command is missing: {}; see trainyard --help", fmt::join(commands, ", "));
  }
  const std::string name = words.front();
  if (asks_for_help(name) || name == "--version") {
    print_text(name == "--version" ? version_text() : overview(terminal_columns()));
    return std::nullopt;
  }
  if (name.starts_with("-")) {
    throw UsageError(where, "'{}' stands before the command, where only settings may; {} See trainyard --help",
                     printable(name),
                     advice_on_flag(name, {"--help", "--version", "--config"}, "trainyard config lists all settings."));
  }
  if (std::find(commands.begin(), commands.end(), name) == commands.end()) {
    throw UsageError(where, "there is no command '{}'; did you mean '{}'? The commands are {}", printable(name),
                     nearest_first(name, commands).front(), fmt::join(commands, ", "));
  }
  ParsedCommand parsed(name);
  words.erase(words.begin());
  if (!parsed.parse(std::move(words))) return std::nullopt;
  Config config = resolved_config(name, *parsed.command(), flags);
  return CommandLine{.command = std::move(parsed.command()), .config = std::move(config)};
}

}  // namespace trainyard
