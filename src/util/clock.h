/// Reads the monotonic clock, which never jumps and is the same in all processes of a machine.
#pragma once

#include <cstdint>

namespace trainyard {

/// CLOCK_MONOTONIC in nanoseconds.
std::int64_t monotonic_ns();
/// Seconds since `start_ns`, a time that monotonic_ns() has returned.
inline double seconds_since(std::int64_t start_ns) { return static_cast<double>(monotonic_ns() - start_ns) * 1e-9; }
/// The same as monotonic_ns() with a resolution of a few milliseconds, at a fifth of the cost.
std::int64_t coarse_monotonic_ns();

}  // namespace trainyard
