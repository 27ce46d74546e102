/// Runs a function in a forked process, so that a crash, a hang or a sticky CUDA error there is an outcome and does not
/// end this program. Unlike a new program, the process need not load LibTorch, which takes half a second with CUDA's
/// libraries. REQUIRES that nothing has initialized CUDA's driver here: it does not work in a child then.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <sys/types.h>

#include "util/system.h"

namespace trainyard {

/// How a process failed.
struct ProcessFailure {
  const char* outcome = "crashed";  ///< or "hung", or "error" if it could not be started
  std::string message{};            ///< the signal, the exit code or the time limit, and the last words
};

/// The parent's side. Not thread-safe.
class ForkedProcess {
 public:
  /// Returns whether the line is a result; the last one that is not becomes the last words of a process that fails.
  using TakeLine = std::function<bool(const std::string& line)>;

  /// Forks; the child, which `ps` shows as `name`, calls `body` and exits. Its standard output and error lead to the
  /// parent, its other descriptors are closed, and it ends with its parent. An exception from `body` is a failure.
  /// REQUIRES that no other thread holds a lock. Throws RunError if no descriptors are left.
  ForkedProcess(const std::string& name, const std::function<void()>& body, std::chrono::milliseconds limit);
  ForkedProcess(ForkedProcess&& other) noexcept;
  ForkedProcess& operator=(ForkedProcess&&) = delete;
  /// Kills the process if it still runs.
  ~ForkedProcess();

  /// Passes on each line that the process writes until it closes its output, at most until `limit` after its start.
  void read_lines(const TakeLine& take);

  /// Call it after read_lines(): waits for the process, or kills it if its time was up. Returns how it failed, if it
  /// did.
  std::optional<ProcessFailure> end();

 private:
  int reap(bool killed);

  std::chrono::steady_clock::time_point deadline_;
  std::chrono::milliseconds limit_;
  pid_t pid_ = -1;
  UniqueFd output_;
  int fork_error_ = 0;    ///< an errno value; 0: the process was started
  bool in_time_ = false;  ///< it closed its output before the deadline
  std::string last_words_;
};

/// For the child: writes `text` and a newline to the parent at once, so that a crash can be located.
void tell_parent(const std::string& text);

}  // namespace trainyard
