// trainyard config: every setting with its value, what it may be and its default, as a file to begin from.

#include <algorithm>

#include <fmt/format.h>

#include "commands/command.h"
#include "config/component.h"
#include "config/settings.h"
#include "util/error.h"
#include "util/output.h"

namespace trainyard {
namespace {

// Whether the setting is the first of its section.
bool begins_section(const std::vector<Setting>& settings, std::size_t i) {
  return i == 0 || settings[i].section() != settings[i - 1].section();
}

std::string default_of(const Setting& setting) {
  Config config;
  return toml_value(value_of(find_setting(settings_in(config), setting.key)->field));
}

// Reads back as the same configuration: settings of components that it does not use are comments.
std::string as_toml(Config config) {
  std::string text;
  const std::vector<Setting> settings = settings_in(config);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const Setting& setting = settings[i];
    if (!setting.flag) continue;
    const char* const comment = setting.selected ? "" : "# ";
    if (begins_section(settings, i)) {
      const std::string use = setting.component ? "  # if " + setting.component->condition() : "";
      text += fmt::format("{}{}[{}]{}\n", text.empty() ? "" : "\n", comment, setting.section(), use);
    }
    text += fmt::format("# {} ({}; default {})\n", setting.help, setting.allowed.hint, default_of(setting));
    text += fmt::format("{}{} = {}\n", comment, setting.name(), toml_value(value_of(setting.field)));
  }
  return text;
}

// A cell of a Markdown table.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  return text;
}

std::string as_markdown() {
  std::string text =
      "# Settings\n\n"
      "Made by `trainyard config --markdown`. A setting is a key of a TOML file (`trainyard train --config FILE`) and "
      "a\n"
      "flag (`--section.key VALUE`), which beats the file. `trainyard config` prints them all as such a file.\n\n"
      "\"Resume\" says whether a run may resume with another value: *free*; *if named*, with the run's name in "
      "`run.name`;\n"
      "*fixed*, no, another value makes another run.\n";
  Config config;
  const std::vector<Setting> settings = settings_in(config);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const Setting& setting = settings[i];
    if (!setting.flag) continue;
    if (begins_section(settings, i)) {
      text += fmt::format("\n## {}\n\n", setting.section());
      if (setting.component) text += fmt::format("Used if {}.\n\n", setting.component->condition());
      text += "| key | default | allowed | resume | meaning |\n| --- | --- | --- | --- | --- |\n";
    }
    text += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", setting.name(), toml_value(value_of(setting.field)),
                        cell(setting.allowed.hint), word(setting.resume), cell(setting.help));
  }
  return text;
}

class ConfigCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("run", run_, "a run's folder, or one checkpoint of it, to begin from instead of the defaults");
    arguments.add("--markdown", markdown_, "the defaults as a page of documentation, docs/settings.md",
                  {.excludes = "run"});
  }

  std::string checkpoint() const override { return run_; }

  int run(const Config& config) override {
    if (markdown_ && !given_settings.empty()) {
      throw UsageError("config", "--markdown shows the defaults, and {} was given; drop one", given_settings.front());
    }
    write_output(markdown_ ? as_markdown() : as_toml(config));
    return 0;
  }

 private:
  std::string run_;
  bool markdown_ = false;
};

const CommandRegistry::Registration registered{"config", "print every setting: value, meaning, range and default",
                                               [] { return std::make_unique<ConfigCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
