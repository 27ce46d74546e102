/// What a subcommand is. A new one is one file here that registers itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "config/config.h"
#include "util/registry.h"

namespace trainyard {

/// Made, bound and run once, on the main thread, while it is the process's only one.
class Command {
 public:
  virtual ~Command() = default;

  /// Adds arguments of its own; settings are there already. Their values are there when run() is called.
  virtual void bind(Arguments& arguments) = 0;

  /// The checkpoint that it works on, as the user gave it: its configuration takes the place of the defaults, so that
  /// no flag has to be repeated. Empty: none. Valid once the command line is parsed.
  virtual std::string checkpoint() const { return {}; }

  /// The keys of all settings that were given, as flags or in a file, even with the values that they had anyway. Valid
  /// when run() is called.
  std::vector<std::string> given_settings;

  /// Whether what the command is for is its standard output. If that cannot be written, such a command fails; others
  /// warn and continue (util/output.h).
  virtual bool product_is_output() const { return true; }

  /// Does the work; returns what the process exits with. Throws Error.
  virtual int run(const Config& config) = 0;
};

struct CommandKind {
  static constexpr const char* name = "command";
};

using CommandRegistry = Registry<CommandKind, std::unique_ptr<Command>()>;

}  // namespace trainyard
