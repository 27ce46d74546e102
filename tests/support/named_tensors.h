/// Compares the tensors of two trainings.
#pragma once

#include <algorithm>

#include <gtest/gtest.h>

#include "util/named_tensors.h"
#include "util/torch.h"

namespace trainyard {

/// Returns the largest difference between elements, relative to the largest element of their tensor. Expects equal
/// names and finite values.
inline double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    const at::Tensor one = a[i].second.to(at::kDouble);
    const at::Tensor other = b[i].second.to(at::kDouble);
    EXPECT_TRUE(one.isfinite().all().item<bool>()) << a[i].first;
    if (one.numel() == 0) continue;
    const double scale = std::max(other.abs().max().item<double>(), 1e-3);
    const double difference = (one - other).abs().max().item<double>() / scale;
    if (difference > largest) largest = difference;
  }
  return largest;
}

/// Returns whether names and bits are equal.
inline bool are_equal(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first || !at::equal(a[i].second, b[i].second)) return false;
  }
  return true;
}

}  // namespace trainyard
