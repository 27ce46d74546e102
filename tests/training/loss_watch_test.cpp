#include "training/loss_watch.h"

#include <cmath>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(LossWatch, NamesEachLossOnceInOrder) {
  LossWatch watch;
  const std::vector<double> losses = {0.5, NAN, -INFINITY};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    watch.add(at::scalar_tensor(losses[i], at::kFloat),
              {.epoch = 2, .batch = static_cast<std::int64_t>(i), .step = 7, .learning_rate = 0.1});
  }
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto known = watch.wait_for_next();
    ASSERT_TRUE(known);
    EXPECT_EQ(known->origin.batch, static_cast<std::int64_t>(i));
    EXPECT_EQ(known->origin.epoch, 2);
    EXPECT_EQ(std::isnan(known->loss), std::isnan(losses[i]));
  }
  EXPECT_FALSE(watch.wait_for_next());
}

}  // namespace
}  // namespace trainyard
