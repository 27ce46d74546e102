#include "training/metrics.h"

#include <cmath>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

const at::Tensor logits = at::tensor({2.F, 1.F, 0.F, 3.F, 5.F, 4.F}).view({3, 2});  // says 0, 1, 0

TEST(ScoreSums, WeighsBatchesByTheirSize) {
  ScoreSums sums(at::kCPU);
  sums.add(sums_of(at::scalar_tensor(1.0F), logits, at::tensor({0, 1, 1}, at::kLong)));
  sums.add(sums_of(at::scalar_tensor(3.0F), logits.slice(0, 0, 1), at::tensor({0}, at::kLong)));
  const Scores mean = sums.mean();
  EXPECT_EQ(mean.samples, 4);
  EXPECT_DOUBLE_EQ(mean.loss, (3 * 1.0 + 3.0) / 4);
  EXPECT_DOUBLE_EQ(mean.accuracy, 3.0 / 4);
}

TEST(ScoreSums, ContinuesFromItsSumsByName) {
  ScoreSums first(at::kCPU);
  first.add(sums_of(at::scalar_tensor(0.1F), logits, at::tensor({0, 1, 1}, at::kLong)));
  ScoreSums second(at::kCPU);
  second.restore(first.by_name());
  for (ScoreSums* sums : {&first, &second})
    sums->add(sums_of(at::scalar_tensor(0.7F), logits, at::tensor({1, 1, 0}, at::kLong)));
  EXPECT_EQ(first.mean().loss, second.mean().loss);
  EXPECT_EQ(first.mean().accuracy, second.mean().accuracy);
  EXPECT_EQ(second.mean().samples, 6);
}

TEST(ScoreSums, OfNothingAreZero) { EXPECT_EQ(ScoreSums(at::kCPU).mean().samples, 0); }

TEST(IsBetter, OrdersByAccuracyThenLossThenTime) {
  const Scores earlier{.loss = 0.5, .accuracy = 0.9};
  EXPECT_TRUE(is_better({.loss = 9, .accuracy = 0.91}, earlier));
  EXPECT_FALSE(is_better({.loss = 0.1, .accuracy = 0.89}, earlier));
  EXPECT_TRUE(is_better({.loss = 0.4, .accuracy = 0.9}, earlier));
  EXPECT_FALSE(is_better({.loss = 0.6, .accuracy = 0.9}, earlier));
  EXPECT_TRUE(is_better(earlier, earlier));
  const Scores nan{.loss = std::nan(""), .accuracy = 0.9};
  EXPECT_FALSE(is_better(nan, earlier));
  EXPECT_TRUE(is_better(earlier, nan));
}

}  // namespace
}  // namespace trainyard
