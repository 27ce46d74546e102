#include "commands/arguments.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/nearest.h"
#include "util/printable.h"

namespace trainyard {
namespace {

CLI::Validator one_of(const std::vector<std::string>& allowed) {
  return CLI::Validator(
      [allowed](std::string& text) {
        if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return std::string();
        return fmt::format("is '{}'; allowed, nearest first: {}", printable(text),
                           fmt::join(nearest_first(text, allowed), ", "));
      },
      "");
}

// CLI::Range accepts NaN, which compares as neither below nor above.
CLI::Validator number_from(std::int64_t least, std::int64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        double given = 0;
        const bool is_number = CLI::detail::lexical_cast(text, given);
        if (is_number && given >= static_cast<double>(least) && given <= static_cast<double>(most))
          return std::string();
        return fmt::format("is '{}'; allowed: a number from {} to {}", printable(text), least, most);
      },
      "");
}

enum class Number : std::uint8_t { whole, fractional };

void apply(const ArgumentRules& rules, CLI::App& subcommand, CLI::Option& option, Number number = Number::whole) {
  option.required(rules.required);
  if (!rules.one_of.empty()) option.check(one_of(rules.one_of));
  if (rules.range) {
    const auto [least, most] = *rules.range;
    option.check(number == Number::whole ? CLI::Range(least, most) : number_from(least, most));
  }
  if (!rules.excludes.empty()) option.excludes(subcommand.get_option(rules.excludes));
}

std::string hint_of(const ArgumentRules& rules, const char* type) {
  if (!rules.one_of.empty()) return fmt::format("{}", fmt::join(rules.one_of, "|"));
  if (rules.range) return fmt::format("{}..{}", rules.range->first, rules.range->second);
  return type;
}

void describe(std::vector<ArgumentHelp>& all, const std::string& name, const std::string& help,
              const ArgumentRules& rules, const char* type, const std::string& standard = "", bool repeated = false) {
  all.push_back({name, hint_of(rules, type), help, rules.group, standard, rules.one_of, rules.required, repeated});
}

}  // namespace

void Arguments::add(const std::string& name, bool& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_flag(name, value));
  describe(help_, name, help, rules, "");
}

void Arguments::add(const std::string& name, double& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value), Number::fractional);
  describe(help_, name, help, rules, "NUMBER", value < 0 ? "" : fmt::format("{}", value));
}

void Arguments::add(const std::string& name, int& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value));
  describe(help_, name, help, rules, "NUMBER", value < 0 ? "" : std::to_string(value));
}

void Arguments::add(const std::string& name, std::int64_t& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value));
  describe(help_, name, help, rules, "NUMBER", value <= 0 ? "" : std::to_string(value));
}

void Arguments::add(const std::string& name, std::string& value, const std::string& help, const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, value));
  describe(help_, name, help, rules, "TEXT", value);
}

void Arguments::add(const std::string& name, std::vector<std::string>& values, const std::string& help,
                    const ArgumentRules& rules) {
  apply(rules, subcommand_, *subcommand_.add_option(name, values));
  describe(help_, name, help, rules, "TEXT", "", /*repeated=*/true);
}

std::vector<ArgumentHelp> arguments_added_by(const std::function<void(Arguments&)>& bind) {
  CLI::App app;
  Arguments arguments(app);
  bind(arguments);
  return arguments.help();
}

}  // namespace trainyard
