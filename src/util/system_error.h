/// Reports failed system calls: a RunError that keeps errno, for callers whose advice depends on it.
#pragma once

#include <string_view>

#include "util/error.h"

namespace trainyard {

/// Thrown by check_call() and throw_system_error().
class SystemError : public RunError {
 public:
  template <typename... Args>
  SystemError(int error, std::string_view where, fmt::format_string<Args...> format, Args&&... args)
      : RunError(where, format, std::forward<Args>(args)...), error_(error) {}

  int error() const { return error_; }  ///< errno

 private:
  int error_;
};

/// Returns what a user can do if writing a file fails with errno `error`, as part of a sentence: "make room on the
/// disk".
std::string_view remedy_of(int error);

/// Returns an error's message without its leading [where], to be quoted in another error.
inline std::string_view without_where(std::string_view what) {
  const std::size_t end = what.find("] ");
  return what.starts_with('[') && end != std::string_view::npos ? what.substr(end + 2) : what;
}

}  // namespace trainyard
