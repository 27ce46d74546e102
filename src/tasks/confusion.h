/// Confusion matrices on the device.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// How many of the labels of each class (rows) were taken for each class (columns): float64, classes × classes.
/// labels, guesses: int64 of one shape; labels outside 0 to classes - 1 do not count. Does not wait for the device.
at::Tensor confusion_matrix(const at::Tensor& labels, const at::Tensor& guesses, std::int64_t classes);

}  // namespace trainyard
