#include "commands/arguments.h"

#include <CLI/CLI.hpp>

namespace trainyard {
namespace {

void apply(const ArgumentRules& rules, CLI::App& subcommand, CLI::Option& option) {
  option.required(rules.required);
  if (!rules.one_of.empty()) option.check(CLI::IsMember(rules.one_of));
  if (rules.range) option.check(CLI::Range(rules.range->first, rules.range->second));
  if (rules.existing_file) option.check(CLI::ExistingFile);
  if (!rules.excludes.empty()) option.excludes(subcommand.get_option(rules.excludes));
  if (!rules.group.empty()) option.group(rules.group);
  if (rules.hidden) option.group("");
}

}  // namespace

void Arguments::add(const std::string& name, bool& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_flag(name, value, help));
}

void Arguments::add(const std::string& name, int& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value, help)->capture_default_str());
}

void Arguments::add(const std::string& name, std::int64_t& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value, help)->capture_default_str());
}

void Arguments::add(const std::string& name, std::string& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value, help));
}

void Arguments::add(const std::string& name, std::vector<std::string>& values, const std::string& help,
                    const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, values, help));
}

void Arguments::add(const std::string& name, std::vector<int>& values, const std::string& help,
                    const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, values, help)->delimiter(','));
}

}  // namespace trainyard
