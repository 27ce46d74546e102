/// Reports failed system calls: a RunError that keeps errno, for callers whose advice depends on it.
#pragma once

#include <string>
#include <string_view>

#include "util/error.h"

namespace trainyard {

/// Thrown by check_call() and throw_system_error().
class SystemError : public RunError {
 public:
  /// what() is `[where] cause; hint`; `hint` may be empty.
  SystemError(int error, std::string_view where, std::string_view cause, std::string_view hint = {})
      : RunError(where, "{}{}{}", cause, hint.empty() ? "" : "; ", hint),
        error_(error),
        what_without_hint_(fmt::format("[{}] {}", where, cause)) {}

  int error() const { return error_; }  ///< errno
  /// `[where] cause`, to be quoted in another error with another hint.
  const std::string& what_without_hint() const { return what_without_hint_; }

 private:
  int error_;
  std::string what_without_hint_;
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
