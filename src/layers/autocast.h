/// Reads this thread's autocast mode on the GPU.
#pragma once

#include <ATen/autocast_mode.h>

#include "util/torch.h"

namespace trainyard {

/// The type in which products on a GPU take an operand of the type `operand`: autocast's if it is on, except for
/// float64, which it leaves alone; otherwise `operand`.
inline at::ScalarType autocast_type(at::ScalarType operand) {
  const bool converts =
      at::autocast::is_autocast_enabled(at::kCUDA) && at::isFloatingType(operand) && operand != at::kDouble;
  return converts ? at::autocast::get_autocast_dtype(at::kCUDA) : operand;
}

/// `tensor` in the type in which a product on a GPU takes it. Autocast caches the casts of weights.
inline at::Tensor product_operand(const at::Tensor& tensor) {
  if (!at::autocast::is_autocast_enabled(at::kCUDA)) return tensor;
  return at::autocast::cached_cast(at::autocast::get_autocast_dtype(at::kCUDA), tensor, at::kCUDA);
}

}  // namespace trainyard
