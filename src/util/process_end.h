/// Describes how a child process ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "util/system.h"

namespace trainyard {

/// "signal 9 (Killed)".
std::string signal_text(int number);

/// Distinguishes the kernel's out-of-memory killer from other signals by the cgroup's count of kills since construction
/// or the last call. Not thread-safe.
class ProcessEnds {
 public:
  /// Returns "exited with code 3" or "was killed by signal 9 (Killed)", followed by `remedy` if the process probably
  /// ran out of memory. `wait_status` is waitpid's.
  std::string describe(int wait_status, std::string_view remedy);

 private:
  std::uint64_t out_of_memory_kills_ = out_of_memory_kills();
};

}  // namespace trainyard
