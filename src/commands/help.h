/// Formats the text of --help for the width of the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "commands/arguments.h"

namespace trainyard {

/// All commands, and where to read more.
std::string overview(std::size_t columns);

/// One command: its arguments, then, if it takes them, all settings with defaults and allowed values. REQUIRES that it
/// is registered.
std::string command_help(const std::string& command, const std::vector<ArgumentHelp>& arguments, bool takes_settings,
                         std::size_t columns);

}  // namespace trainyard
