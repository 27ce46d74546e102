/// Standard output and standard error: every write is checked, and text for people is safe to show.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "util/error.h"

namespace trainyard {

/// Standard output cannot be written. Exit code 1.
class OutputError : public Error {
 public:
  /// `error` is errno's value.
  explicit OutputError(int error);

  /// Whether the reader of a pipe has ended, as in `trainyard list | head -1`. Nothing is printed then.
  bool closed_pipe() const { return closed_pipe_; }

 private:
  bool closed_pipe_;
};

/// Prepares the process; REQUIRES that main calls it before it opens anything. Descriptors 0 to 2 that are closed are
/// opened on /dev/null the wrong way round: no other file gets their numbers, and using them fails with EBADF. A write
/// to a pipe without a reader fails with EPIPE, one over the limit of a file's size with EFBIG, and neither ends the
/// process by a signal.
void prepare_standard_streams();

/// For commands whose product is files: from here on a standard output that cannot be written is one warning, or none
/// if it is a closed pipe, and the command continues.
void continue_without_output();

/// Writes `text` to standard output as it is: JSON, text with colours. Anything from outside in it must be escaped.
/// Throws OutputError unless continue_without_output() was called. For one thread.
void write_output(std::string_view text);

/// Hands all that was written to the system. Throws as write_output().
void flush_output();

/// Writes text for people to standard output; see printable_lines() for what is escaped. Throws as write_output().
void print_text(std::string_view text);

/// print_text() of formatted text.
template <typename... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_text(fmt::format(format, std::forward<Args>(args)...));
}

/// Writes a line to standard error, escaped as in print_text(). A standard error that cannot be written changes
/// nothing.
void print_error(std::string_view line) noexcept;

}  // namespace trainyard
