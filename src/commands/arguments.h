/// Adds a command's arguments to its subcommand.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// CLI11's header takes longer to compile than a command, so it is included only where arguments become CLI11 options.
namespace CLI {
class App;
}  // namespace CLI

namespace trainyard {

/// Restricts the values of an argument. A violation ends the program with exit code 2.
struct ArgumentRules {
  bool required = false;
  std::vector<std::string> one_of{};
  std::optional<std::pair<std::int64_t, std::int64_t>> range{};  ///< of a number, inclusive
  std::string excludes{};                                        ///< name of an argument that excludes this one
  std::string group{};                                           ///< its heading in --help; "Options" if empty
};

/// What --help shows about an argument.
struct ArgumentHelp {
  std::string name;  ///< "--top", "-o,--output"; positional without dashes
  std::string hint;  ///< allowed values: "1..1000"; empty: no hint
  std::string help;
  std::string group;                   ///< empty: Options
  std::string standard;                ///< the default, if it is worth showing
  std::vector<std::string> choices{};  ///< all allowed values; empty: not an enumeration
  bool required = false;
  bool repeated = false;  ///< takes several values
};

/// Each call adds an argument: "--name", "-n,--name" or, without dashes, a positional one. Its value is written to
/// `value`, which must stay valid until the command line is parsed.
class Arguments {
 public:
  explicit Arguments(CLI::App& subcommand) : subcommand_(subcommand) {}

  void add(const std::string& name, bool& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, int& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, std::int64_t& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, double& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, std::string& value, const std::string& help, const ArgumentRules& rules = {});
  /// A positional argument of any number of words.
  void add(const std::string& name, std::vector<std::string>& values, const std::string& help,
           const ArgumentRules& rules = {});

  /// All arguments added.
  const std::vector<ArgumentHelp>& help() const { return help_; }

 private:
  CLI::App& subcommand_;
  std::vector<ArgumentHelp> help_;
};

/// The arguments that `bind` adds; needs no command line to parse.
std::vector<ArgumentHelp> arguments_added_by(const std::function<void(Arguments&)>& bind);

}  // namespace trainyard
