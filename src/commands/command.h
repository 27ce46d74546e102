/// The interface of a subcommand. To add one, write one file in this folder that registers itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "config/config.h"
#include "util/registry.h"

namespace trainyard {

/// Created, bound and run once, on the main thread, while that is the process's only thread.
class Command {
 public:
  virtual ~Command() = default;

  /// Adds the command's own arguments; the settings already exist. Their values are set when run() is called.
  virtual void bind(Arguments& arguments) = 0;

  /// The checkpoint that the command works on, as the user specified it: its configuration replaces the defaults, so
  /// that no flag has to be repeated. Empty: none. Valid once the command line is parsed.
  virtual std::string checkpoint() const { return {}; }

  /// Whether the setting `key` makes a difference to the command. If not, its flag is refused.
  virtual bool uses(const std::string& /*key*/) const { return true; }

  /// The keys of all settings that were given, as flags or in a file, even if they equal the defaults. Valid when run()
  /// is called.
  std::vector<std::string> given_settings;

  /// Whether the command's product is standard output. If that cannot be written, such a command fails; others warn and
  /// continue (util/output.h).
  virtual bool product_is_output() const { return true; }

  /// Runs the command and returns the exit code. Throws Error.
  virtual int run(const Config& config) = 0;
};

struct CommandKind {
  static constexpr const char* name = "command";
};

using CommandRegistry = Registry<CommandKind, std::unique_ptr<Command>()>;

}  // namespace trainyard
