/// Sets the name under which `ps` and `top` show a process.
#pragma once

#include <string>

namespace trainyard {

/// Names the calling process: `name` (its first 15 bytes) where tools show the short name, and "trainyard: <name>"
/// where they show the command line, truncated to the length of the original command line. REQUIRES that nobody reads
/// the arguments of main afterwards.
void set_process_name(const std::string& name);

}  // namespace trainyard
