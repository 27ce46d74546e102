/// Lines on stderr about what went wrong and does not end the run: `[where] what happened, the value, what to do`.
#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

namespace trainyard {

/// Once at the start: lines go to stderr from now on, as --json has stdout to itself.
void log_to_stderr();

/// From any thread.
void log_warning(const std::string& line);
/// Of what is lost, though the run goes on.
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
