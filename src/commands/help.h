/// Formats the text of --help for the width of the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/command.h"

namespace trainyard {

/// All commands, and where to read more.
std::string overview(std::size_t columns);

/// A command: its arguments, then the settings that it uses, with defaults and allowed values. REQUIRES that it is
/// registered under `name`.
std::string command_help(const std::string& name, const Command& command, const std::vector<ArgumentHelp>& arguments,
                         std::size_t columns);

}  // namespace trainyard
