#include "commands/command_line.h"

#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/version.h"
#include "checkpoint/checkpoint_folder.h"
#include "config/bind.h"
#include "datasets/dataset.h"
#include "util/nearest.h"

namespace trainyard {
namespace {

// The misspelt flag and the one it was probably meant to be.
UsageError unknown_argument(const CLI::App& app, const std::string& argument) {
  const std::string flag = argument.substr(0, argument.find('='));
  if (!flag.starts_with("-")) {
    return {"trainyard", "'{}' is not a command; known, nearest first: {}", argument,
            fmt::join(nearest_first(argument, CommandRegistry::names()), ", ")};
  }
  std::vector<std::string> known;
  for (const CLI::App* level : {&app, app.get_subcommands().empty() ? &app : app.get_subcommands().front()}) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  }
  return {"trainyard", "there is no flag '{}'; did you mean '{}'?", flag, nearest_first(flag, known).front()};
}

class Parser {
 public:
  explicit Parser(Config base)
      : config_(std::move(base)), app_("Trains image classifiers with LibTorch.", "trainyard") {
    app_.set_version_flag("--version", [] { return version_text(); }, "versions of everything linked in");
    app_.require_subcommand(1);
    trainyard::bind(app_, config_);
    for (const std::string& name : CommandRegistry::names()) {
      CLI::App* subcommand = app_.add_subcommand(name, CommandRegistry::find(name).description);
      subcommand->fallthrough();  // settings may stand behind the command
      subcommand->footer("The settings, [model] to [run], stand behind every command: trainyard --help lists them.");
      auto [place, inserted] = commands_.emplace(name, CommandRegistry::make(name));
      Arguments arguments(*subcommand);
      place->second->bind(arguments);
    }
  }

  // False: --help or --version was asked for and answered.
  bool parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& answered) {
      app_.exit(answered);
      return false;
    } catch (const CLI::ExtrasError&) {
      throw unknown_argument(app_, app_.remaining(/*recurse=*/true).front());
    } catch (const CLI::ParseError& error) {
      throw UsageError("trainyard", "{}; see trainyard --help", error.what());
    }
    return true;
  }

  std::unique_ptr<Command>& command() { return commands_.at(app_.get_subcommands().front()->get_name()); }
  Config& config() { return config_; }

 private:
  Config config_;
  CLI::App app_;
  std::map<std::string, std::unique_ptr<Command>> commands_;
};

}  // namespace

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv) {
  auto parser = std::make_unique<Parser>(Config{});
  if (!parser->parse(argc, argv)) return std::nullopt;
  if (const std::string given = parser->command()->checkpoint(); !given.empty()) {
    const std::filesystem::path checkpoint = resolve_checkpoint(given);
    parser = std::make_unique<Parser>(config_from_toml(read_manifest(checkpoint).config, checkpoint.string()));
    parser->parse(argc, argv);
  }
  validate(parser->config());
  DatasetRegistry::find(parser->config().data.name);
  return CommandLine{.command = std::move(parser->command()), .config = std::move(parser->config())};
}

}  // namespace trainyard
