/// Reads the monotonic clock, which never jumps and is the same in all processes of a machine.
#pragma once

#include <cstdint>

namespace trainyard {

/// CLOCK_MONOTONIC in nanoseconds.
std::int64_t monotonic_ns();
/// The same with a resolution of a few milliseconds, at a fifth of the cost.
std::int64_t coarse_monotonic_ns();

}  // namespace trainyard
