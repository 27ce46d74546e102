/// Parses the command line into a command and its settings.
#pragma once

#include <memory>
#include <optional>

#include "commands/command.h"

namespace trainyard {

struct CommandLine {
  std::unique_ptr<Command> command;
  Config config;
};

/// Parses and validates. --help and --version print their text and return nothing. Throws UsageError for an unknown
/// flag, key or value, with the nearest known one.
std::optional<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace trainyard
