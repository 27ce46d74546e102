#include "training/sum_times.h"

#include <algorithm>

#include <fmt/format.h>

#include "util/count_of.h"

namespace trainyard {
namespace {

// Sums of gradients start at the earliest after the forward pass: a third of the computation, less with recomputation.
constexpr double least_share_of_forward = 0.25;

constexpr double most_allowed = 0.5;

}  // namespace

double least_share_of_sums(const SumTimes& sums, double step_seconds) {
  if (step_seconds <= 0) return 0;
  const double most_computation = std::max(step_seconds - sums.all, 0.0) / least_share_of_forward;
  return std::clamp(std::max(sums.unhidden, step_seconds - most_computation) / step_seconds, 0.0, 1.0);
}

std::string warning_of_small_share(const SumTimes& sums, double step_seconds, std::int64_t samples_per_rank) {
  const double share = least_share_of_sums(sums, step_seconds);
  if (share <= most_allowed) return "";
  return fmt::format(
      "[distributed] {} per rank: at least {:.0f} % of a step of {:.2f} ms waits for sums over the ranks; "
      "raise "
      "loader.batch_size, or train on fewer GPUs, which may be as fast (docs/many-gpus.md)",
      count_of(samples_per_rank, "sample"), 100 * share, 1000 * step_seconds);
}

}  // namespace trainyard
