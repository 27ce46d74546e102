/// Makes a dataset of some of the samples of another one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "datasets/dataset.h"

namespace trainyard {

/// Returns the samples `indices` of `dataset`, in this order: sample i is the dataset's sample indices[i], with its
/// name and its content; everything else is forwarded. The fingerprint depends on the dataset's and on the indices.
/// Several subsets may share a dataset. REQUIRES that every index is below dataset->size().
std::unique_ptr<Dataset> subset(const std::shared_ptr<const Dataset>& dataset, std::span<const std::uint64_t> indices);

}  // namespace trainyard
