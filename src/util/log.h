/// Logs warnings and errors that do not end the run to stderr: `[where] what happened, the value, what to do`.
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

namespace trainyard {

/// Sends all lines to stderr, because stdout is reserved for the output of --json. Call once at the start.
void log_to_stderr();

/// May be called from any thread.
void log_warning(const std::string& line);
/// For something that is lost although the run continues, e.g. a checkpoint that cannot be written.
void log_error(const std::string& line);

template <typename First, typename... More>
void log_warning(fmt::format_string<First, More...> format, First&& first, More&&... more) {
  log_warning(fmt::format(format, std::forward<First>(first), std::forward<More>(more)...));
}
template <typename First, typename... More>
void log_error(fmt::format_string<First, More...> format, First&& first, More&&... more) {
  log_error(fmt::format(format, std::forward<First>(first), std::forward<More>(more)...));
}

}  // namespace trainyard
