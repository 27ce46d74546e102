#include "util/clock.h"

#include <time.h>

namespace trainyard {
namespace {

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::int64_t monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }
std::int64_t coarse_monotonic_ns() { return read_clock(CLOCK_MONOTONIC_COARSE); }

}  // namespace trainyard
