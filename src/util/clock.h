/// The clock that durations are measured by. It never jumps, and all processes of a machine read the same one.
#pragma once

#include <cstdint>

namespace trainyard {

/// CLOCK_MONOTONIC in nanoseconds.
std::int64_t monotonic_ns();
/// The same, only good to a few milliseconds, at a fifth of the cost.
std::int64_t coarse_monotonic_ns();

}  // namespace trainyard
