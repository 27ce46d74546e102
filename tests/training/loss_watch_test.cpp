#include "training/loss_watch.h"

#include <cmath>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(LossWatch, NamesEachLossThatIsNotFiniteOnceInOrder) {
  LossWatch watch;
  const std::vector<double> losses = {0.5, NAN, 0.7, -INFINITY, 0.1};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    watch.add(at::scalar_tensor(losses[i], at::kFloat),
              {.epoch = 2, .batch = static_cast<std::int64_t>(i), .step = 7, .learning_rate = 0.1});
  }
  const auto first = watch.next(/*all=*/true);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->origin.batch, 1);
  EXPECT_EQ(first->origin.epoch, 2);
  EXPECT_TRUE(std::isnan(first->loss));
  const auto second = watch.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->origin.batch, 3);
  EXPECT_FALSE(watch.next(/*all=*/true));
}

}  // namespace
}  // namespace trainyard
