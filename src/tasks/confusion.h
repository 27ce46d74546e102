/// Computes confusion matrices on the device.
#pragma once

#include "util/torch.h"

namespace trainyard {

/// Element (i, j) counts the labels of class i whose guess is class j: float64, classes × classes. labels, guesses:
/// int64 of the same shape; labels outside 0 to classes - 1 are ignored. Does not wait for the device.
at::Tensor confusion_matrix(const at::Tensor& labels, const at::Tensor& guesses, std::int64_t classes);

}  // namespace trainyard
