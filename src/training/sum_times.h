/// Judges whether a rank's share of the batch is so small that its steps mostly wait for sums over the ranks.
#pragma once

#include <cstdint>
#include <string>

namespace trainyard {

/// Seconds that the sums over the ranks take in a step if nothing runs beside them.
struct SumTimes {
  double all = 0;
  double unhidden = 0;  ///< those that nothing can run beside: of the losses, and of the last gradients
};

/// Returns the least share of a step of `step_seconds` in which a rank waits for sums, 0 to 1.
double least_share_of_sums(const SumTimes& sums, double step_seconds);

/// Returns a warning if that share is more than half, with what to do; empty otherwise.
std::string warning_of_small_share(const SumTimes& sums, double step_seconds, std::int64_t samples_per_rank);

}  // namespace trainyard
