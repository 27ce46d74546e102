/// The arguments that a command adds to its own subcommand.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// CLI11's header takes longer to compile than a command does: it is included where these are turned into its options.
namespace CLI {
class App;
}  // namespace CLI

namespace trainyard {

/// What a value may be. An argument that a rule forbids ends the program with exit code 2.
struct ArgumentRules {
  bool required = false;
  std::vector<std::string> one_of{};
  std::optional<std::pair<std::int64_t, std::int64_t>> range{};  ///< of a number, both included
  std::string excludes{};  ///< the name of an argument that it cannot stand beside
  std::string group{};     ///< its heading in --help, "Options" if empty
  bool hidden = false;     ///< not for people: not in --help
};

/// What --help shows of an argument.
struct ArgumentHelp {
  std::string name;  ///< "--top", "-o,--output"; without dashes: positional
  std::string hint;  ///< what a value may be: "1..1000"; empty: it has none
  std::string help;
  std::string group;                   ///< empty: Options
  std::string standard;                ///< the default, if it is worth showing
  std::vector<std::string> choices{};  ///< all that it may be; empty: not a list of words
};

/// Each call adds an argument, "--name", "-n,--name" or, without dashes, a positional one. Its value is written to
/// `value`, which must live until the command line is parsed.
class Arguments {
 public:
  explicit Arguments(CLI::App& subcommand) : subcommand_(subcommand) {}

  void add(const std::string& name, bool& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, int& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, std::int64_t& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, double& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, std::string& value, const std::string& help, const ArgumentRules& rules = {});
  /// The name several times, each with a value; of a positional one, any number of words.
  void add(const std::string& name, std::vector<std::string>& values, const std::string& help,
           const ArgumentRules& rules = {});

  /// Numbers separated by commas.
  void add(const std::string& name, std::vector<int>& values, const std::string& help, const ArgumentRules& rules = {});

  /// All that were added, but for hidden ones.
  const std::vector<ArgumentHelp>& help() const { return help_; }

 private:
  CLI::App& subcommand_;
  std::vector<ArgumentHelp> help_;
};

/// What `bind` adds, without a command line to parse.
std::vector<ArgumentHelp> arguments_added_by(const std::function<void(Arguments&)>& bind);

}  // namespace trainyard
