/// What a subcommand is. A new one is one file here that registers itself.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "config/config.h"
#include "util/registry.h"

namespace trainyard {

/// Made, bound and run once, on the main thread, while it is the process's only one.
class Command {
 public:
  virtual ~Command() = default;

  /// Adds arguments of its own to its subcommand; settings are there already. They are read when run() is called.
  virtual void bind(CLI::App& subcommand) = 0;

  /// The checkpoint that it works on, as the user gave it: its configuration takes the place of the defaults, so that
  /// no flag has to be repeated. Empty: none. Valid once the command line is parsed.
  virtual std::string checkpoint() const { return {}; }

  /// Does the work; returns what the process exits with. Throws Error.
  virtual int run(const Config& config) = 0;
};

struct CommandKind {
  static constexpr const char* name = "command";
};

using CommandRegistry = Registry<CommandKind, std::unique_ptr<Command>()>;

}  // namespace trainyard
