/// Errors shown to the user: `[where] what happened, the value, what to do`, each kind with its exit code.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace trainyard {

/// Exit code of the process. A run ended by signal n after saving exits with 128 + n.
enum class ExitCode : int {
  done = 0,
  run_failed = 1,       ///< the run itself failed
  usage = 2,            ///< a flag, a key or a value is wrong; nothing expensive has started
  machine_not_fit = 3,  ///< the machine lacks what was requested: no GPU, too little shared memory, ...
};

/// Base of all errors that Trainyard throws. `what()` is the whole line, ready to print.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, std::string_view where, std::string_view message)
      : std::runtime_error(fmt::format("[{}] {}", where, message)), code_(code) {}

  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// The run failed: a damaged file, a lost worker, a NaN loss. Exit code 1.
class RunError : public Error {
 public:
  template <typename... Args>
  RunError(std::string_view where, fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::run_failed, where, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// The command line or the configuration is wrong. Exit code 2.
class UsageError : public Error {
 public:
  template <typename... Args>
  UsageError(std::string_view where, fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::usage, where, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// The machine lacks what was requested. Exit code 3.
class MachineError : public Error {
 public:
  template <typename... Args>
  MachineError(std::string_view where, fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::machine_not_fit, where, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// Rethrows an error of another process: throws the error of kind `code` whose what() is `line`.
[[noreturn]] void throw_error(ExitCode code, std::string_view line);

}  // namespace trainyard
