/// Returns the number of runs that a test kills.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace trainyard {

/// Returns the environment variable TRAINYARD_KILL_RUNS, or `otherwise` if it is not set.
inline std::uint64_t kill_runs(std::uint64_t otherwise) {
  const char* const text = std::getenv("TRAINYARD_KILL_RUNS");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace trainyard
