/// The arguments that a command adds to its own subcommand.
#pragma once

#include <cstdint>
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
  bool existing_file = false;
  std::string excludes{};  ///< the name of an argument that it cannot stand beside
  std::string group{};     ///< its heading in --help, "Options" if empty
  bool hidden = false;     ///< not for people: not in --help
};

/// Each call adds an argument, "--name", "-n,--name" or, without dashes, a positional one. Its value is written to
/// `value`, which must live until the command line is parsed.
class Arguments {
 public:
  explicit Arguments(CLI::App& subcommand) : subcommand_(subcommand) {}

  void add(const std::string& name, bool& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, int& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, std::int64_t& value, const std::string& help, const ArgumentRules& rules = {});
  void add(const std::string& name, std::string& value, const std::string& help, const ArgumentRules& rules = {});
  /// Several values behind one name, or the name several times.
  void add(const std::string& name, std::vector<std::string>& values, const std::string& help,
           const ArgumentRules& rules = {});

  /// Numbers separated by commas.
  void add(const std::string& name, std::vector<int>& values, const std::string& help, const ArgumentRules& rules = {});

 private:
  CLI::App& subcommand_;
};

}  // namespace trainyard
