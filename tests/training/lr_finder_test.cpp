#include "training/lr_finder.h"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "util/random.h"

namespace trainyard {
namespace {

// Feeds 100 steps from 1e-7 to 10 with `loss` as a function of the base-10 logarithm of the learning rate. Returns the
// number of steps done.
int feed(LrFinder& finder, const std::function<double(double)>& loss) {
  for (int step = 0; step < 100; ++step) {
    const double exponent = -7 + 8.0 * step / 99;
    finder.add(std::pow(10, exponent), loss(exponent));
    if (finder.diverged()) return step + 1;
  }
  return 100;
}

TEST(LrFinder, SmoothsByAnUnbiasedMovingAverage) {
  LrFinder finder;
  finder.add(0.1, 2);
  finder.add(0.2, 4);
  finder.add(0.3, 1);
  ASSERT_EQ(finder.curve().size(), 3u);
  EXPECT_DOUBLE_EQ(finder.curve()[0].loss, 2);
  const double sum = 0.98 * 0.98 * 2 + 0.98 * 4 + 1;
  EXPECT_NEAR(finder.curve()[2].loss, sum / (0.98 * 0.98 + 0.98 + 1), 1e-12);
}

TEST(LrFinder, HasOnePointForTheBatchesOfAStep) {
  LrFinder finder;
  for (const double loss : {2.0, 4.0}) finder.add(0.1, loss);
  ASSERT_EQ(finder.curve().size(), 1u);
  EXPECT_NEAR(finder.curve()[0].loss, (0.98 * 2 + 4) / 1.98, 1e-12);
}

TEST(LrFinder, SuggestsWhereTheLossFallsFastestAndWhereItIsLowest) {
  LrFinder finder;
  const int steps = feed(finder, [](double exponent) {
    if (exponent < -3) return 2.3;
    return exponent < -1 ? 2.3 - (exponent + 3) : 0.3 + 300 * (exponent + 1);
  });
  EXPECT_TRUE(finder.diverged());
  EXPECT_LT(steps, 100);
  const auto suggestion = finder.suggestion();
  ASSERT_TRUE(suggestion);
  EXPECT_TRUE(suggestion->is_clear());
  EXPECT_GT(suggestion->steepest, 1e-3);
  EXPECT_LT(suggestion->steepest, 1.3e-1);
  EXPECT_GE(suggestion->minimum, suggestion->steepest);
  EXPECT_LT(suggestion->minimum, 1.3e-1);
}

// Losses as of houses_mlp: from 1 to 0.2 between learning rates of 1e-4 and 1e-2, with the noise of small batches.
TEST(LrFinder, SuggestsTheSameWhateverTheNoise) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    LrFinder finder;
    RandomStream random(seed);
    feed(finder, [&](double exponent) {
      const double noise = 0.5 * (random.uniform() - 0.5);
      if (exponent > -1) return 3 * (exponent + 1) + 0.2 + noise;
      return 0.2 + 0.8 / (1 + std::exp(3 * (exponent + 3))) + noise;
    });
    const auto suggestion = finder.suggestion();
    ASSERT_TRUE(suggestion && suggestion->is_clear()) << seed;
    EXPECT_GT(suggestion->steepest, 1e-4) << seed;
    EXPECT_LT(suggestion->steepest, 1e-2) << seed;
    EXPECT_GT(suggestion->minimum, 1e-3) << seed;
    EXPECT_LT(suggestion->minimum, 3e-1) << seed;
  }
}

TEST(LrFinder, SuggestsNothingWhereTheLossIsMereNoise) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    LrFinder finder;
    RandomStream random(seed);
    feed(finder, [&](double /*exponent*/) { return 1 + 0.5 * (random.uniform() - 0.5); });
    const auto suggestion = finder.suggestion();
    ASSERT_TRUE(suggestion);
    EXPECT_FALSE(suggestion->is_clear()) << seed;
  }
}

TEST(LrFinder, DivergesAtALossThatIsNotFiniteAndIgnoresWhatFollows) {
  LrFinder finder;
  finder.add(0.1, 1);
  finder.add(0.2, NAN);
  EXPECT_TRUE(finder.diverged());
  finder.add(0.3, 1);
  EXPECT_EQ(finder.curve().size(), 1u);
}

TEST(LrFinder, SuggestsNothingForALossThatNeverFallsOrTooFewSteps) {
  LrFinder rising;
  EXPECT_EQ(feed(rising, [](double exponent) { return 3 + 0.1 * exponent; }), 100);
  EXPECT_FALSE(rising.suggestion()->is_clear());
  LrFinder few;
  for (const double loss : {3.0, 2.0, 1.0}) few.add(1 / loss, loss);
  EXPECT_FALSE(few.suggestion());
}

}  // namespace
}  // namespace trainyard
