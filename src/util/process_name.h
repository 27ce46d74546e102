/// How a process shows itself to `ps` and `top`.
#pragma once

#include <string>

namespace trainyard {

/// Names the calling process: `name` (its first 15 bytes) where tools show the short name, "trainyard: <name>" where
/// they show the command line, as far as the room that the command line took goes.
/// REQUIRES that nobody reads the arguments of main any more.
void set_process_name(const std::string& name);

}  // namespace trainyard
