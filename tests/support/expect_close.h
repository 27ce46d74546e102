/// Compares the tensors of custom kernels with those of a reference.
#pragma once

#include <gtest/gtest.h>

#include "util/torch.h"

namespace trainyard {

/// Fails unless both are undefined or the norm of the difference is at most `tolerance` times the norm of `expected`.
inline void expect_close(const at::Tensor& ours, const at::Tensor& expected, double tolerance, const char* what) {
  ASSERT_EQ(ours.defined(), expected.defined()) << what;
  if (!ours.defined()) return;
  ASSERT_EQ(ours.sizes(), expected.sizes()) << what;
  const double distance = (ours.to(at::kDouble) - expected.to(at::kDouble)).norm().item<double>();
  EXPECT_LE(distance, tolerance * expected.norm().item<double>()) << what;
}

/// Returns the relative tolerance for values rounded to `type`.
inline double rounding_of(at::ScalarType type) { return type == at::kFloat ? 2e-6 : type == at::kHalf ? 5e-4 : 4e-3; }

}  // namespace trainyard
