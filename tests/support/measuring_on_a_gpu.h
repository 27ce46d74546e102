/// A fixture for layers that measure on a GPU which of several ways is the fastest.
#pragma once

#include <gtest/gtest.h>

#include <ATen/Context.h>

#include "util/torch.h"

namespace trainyard {

/// Base: testing::Test or testing::TestWithParam. LibTorch's benchmark mode is on; a test may turn on its deterministic
/// mode. Skips without a GPU.
template <typename Base = testing::Test>
class MeasuringOnAGpu : public Base {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
    at::globalContext().setBenchmarkCuDNN(true);
  }
  void TearDown() override {
    at::globalContext().setBenchmarkCuDNN(false);
    at::globalContext().setDeterministicCuDNN(false);
  }
};

}  // namespace trainyard
