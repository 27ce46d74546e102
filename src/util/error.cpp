#include "util/error.h"

namespace trainyard {

void throw_error(ExitCode code, std::string_view line) {
  const std::size_t end = line.starts_with('[') ? line.find("] ") : std::string_view::npos;
  const bool whole = end != std::string_view::npos;
  const std::string_view where = whole ? line.substr(1, end - 1) : "error";
  const std::string_view message = whole ? line.substr(end + 2) : line;
  switch (code) {
    case ExitCode::usage:
      throw UsageError(where, "{}", message);
    case ExitCode::machine_not_fit:
      throw MachineError(where, "{}", message);
    default:
      throw RunError(where, "{}", message);
  }
}

}  // namespace trainyard
