/// Words for how a child process ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "util/system.h"

namespace trainyard {

/// "signal 9 (Killed)".
std::string signal_text(int number);

/// Tells the kernel's out-of-memory killer from other signals by what the cgroup has counted since this was made, or
/// last asked. For one thread.
class ProcessEnds {
 public:
  /// "exited with code 3", or "was killed by signal 9 (Killed)", with `remedy` where memory was probably wanting.
  /// `wait_status` is waitpid's.
  std::string describe(int wait_status, std::string_view remedy);

 private:
  std::uint64_t out_of_memory_kills_ = out_of_memory_kills();
};

}  // namespace trainyard
