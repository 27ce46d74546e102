/// Runs programs from tests.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace trainyard {

/// How a program ended.
struct Outcome {
  int exit_code;       ///< 128 + n when signal n ended it
  std::string output;  ///< stdout and stderr, in the order written
};

/// A running program. Its output goes to a temporary file. It is killed on destruction unless it has been waited for.
class Subprocess {
 public:
  /// command[0] is the program, looked up on PATH; `environment` entries "NAME=value" are added to the caller's
  /// environment.
  explicit Subprocess(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Returns whether the program is still running.
  bool is_running() const;
  std::string output_so_far() const;
  Outcome wait();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// Runs a program and waits until it ends.
Outcome run_program(const std::vector<std::string>& command, const std::vector<std::string>& environment = {});

}  // namespace trainyard
