/// Which samples are taken out of train for validation (data.val).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "datasets/dataset.h"

namespace trainyard {

/// Two parts of a dataset: every sample is in one of them, in the dataset's order.
struct TrainAndVal {
  std::vector<std::uint64_t> train;
  std::vector<std::uint64_t> val;
};

/// Takes `val` of the samples of `dataset`, a share if below 1 (rounded, at least one), otherwise a number: so many of
/// each class (Dataset::stratum) as its share, rounded by largest remainder, and never the last one of a class. Which
/// ones follows from the dataset's strata and `seed` alone. Throws UsageError "data.val" if there are too few samples.
TrainAndVal take_validation(const Dataset& dataset, double val, std::uint64_t seed);

/// The same of samples that are no dataset yet: strata[i] is the class of sample i.
TrainAndVal take_validation(std::span<const std::uint64_t> strata, double val, std::uint64_t seed);

}  // namespace trainyard
