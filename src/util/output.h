/// Writes to standard output and standard error: every write is checked, and text for people is escaped.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "util/error.h"

namespace trainyard {

/// Standard output cannot be written. Exit code 1.
class OutputError : public Error {
 public:
  /// `error` is an errno value.
  explicit OutputError(int error);

  /// Whether the reader of a pipe has closed it, e.g. in `trainyard list | head -1`. Nothing is printed then.
  bool closed_pipe() const { return closed_pipe_; }

 private:
  bool closed_pipe_;
};

/// Prepares the process; REQUIRES that main calls it before it opens anything. Closed descriptors 0 to 2 are opened on
/// /dev/null in the wrong direction, so that no other file gets their numbers and using them fails with EBADF. A write
/// to a pipe without a reader fails with EPIPE and one beyond the file size limit with EFBIG; neither ends the process
/// by a signal.
void prepare_standard_streams();

/// For commands whose product is files: from here on, failing to write to standard output causes a single warning, or
/// none for a closed pipe, and the command continues.
void continue_without_output();

/// Writes `text` to standard output unchanged: JSON, text with colours. Anything from outside in it must already be
/// escaped. Throws OutputError unless continue_without_output() was called. Not thread-safe.
void write_output(std::string_view text);

/// Flushes everything written to the system. Throws as write_output() does.
void flush_output();

/// Writes text for people to standard output; see printable_lines() for what is escaped. Throws as write_output() does.
void print_text(std::string_view text);

/// Formats text and writes it with print_text().
template <typename... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_text(fmt::format(format, std::forward<Args>(args)...));
}

/// Writes a line to standard error, escaped as by print_text(). Failures to write are ignored.
void print_error(std::string_view line) noexcept;

}  // namespace trainyard
