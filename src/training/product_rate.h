/// Measures how fast a device multiplies matrices, as an upper bound for what a training step can reach.
#pragma once

#include "config/choices.h"
#include "util/torch.h"

namespace trainyard {

/// Returns the floating-point operations per second, two per multiply-add, of a large square product in the arithmetic
/// of `precision`, the fastest of several. REQUIRES that set_float32_arithmetic() was called. Takes about a second.
double product_rate(at::Device device, Precision precision);

}  // namespace trainyard
