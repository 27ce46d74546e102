/// Checks that a model trained on one split can be applied to the others.
#pragma once

#include <span>
#include <vector>

#include "loader/split.h"

namespace trainyard {

/// Whether `fields` has each field of `trained`, of its type and shape. The lengths of samples that vary may differ.
bool have_shapes_of(std::span<const Field> trained, std::span<const Field> fields);

/// Throws UsageError if the samples of val or test have another shape than those of train, the first of `splits`.
void require_shapes_of_train(const std::vector<SplitInfo>& splits);

}  // namespace trainyard
