/// Selects the samples that are taken from train for validation (data.val).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "datasets/dataset.h"

namespace trainyard {

/// A partition of a dataset; both parts keep the dataset's order.
struct TrainAndVal {
  std::vector<std::uint64_t> train;
  std::vector<std::uint64_t> val;
};

/// Takes `val` of the samples of `dataset`, a share if below 1 (rounded, at least one), otherwise a number. Each class
/// (Dataset::stratum) contributes in proportion to its size, rounded by largest remainder, and never its last sample.
/// The selection depends on the dataset's strata and `seed` alone. Throws UsageError "data.val" if there are too few
/// samples.
TrainAndVal take_validation(const Dataset& dataset, double val, std::uint64_t seed);

/// The same for samples that are not a dataset yet: strata[i] is the class of sample i.
TrainAndVal take_validation(std::span<const std::uint64_t> strata, double val, std::uint64_t seed);

}  // namespace trainyard
