/// The text of --help, which stays readable on a small terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "commands/arguments.h"

namespace trainyard {

/// Columns of the terminal: the variable COLUMNS, else what the terminal on standard output says, else 100. From 40 up.
std::size_t terminal_columns();

/// All commands, and how to go on.
std::string overview(std::size_t columns);

/// One command: its arguments, then all settings with defaults and what they may be. REQUIRES: it is registered.
std::string command_help(const std::string& command, const std::vector<ArgumentHelp>& arguments, std::size_t columns);

}  // namespace trainyard
