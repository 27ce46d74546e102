#include "loader/sample_order.h"

#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

std::vector<std::uint64_t> all_of(const SampleOrder& order, std::uint64_t size) {
  std::vector<std::uint64_t> result;
  for (std::uint64_t position = 0; position < size; ++position) result.push_back(order(position));
  return result;
}

TEST(SampleOrder, IsAPermutationOfEverySize) {
  for (std::uint64_t size = 1; size <= 300; ++size) {
    const auto order = all_of(SampleOrder(7, size, size, true), size);
    const std::set<std::uint64_t> distinct(order.begin(), order.end());
    ASSERT_EQ(distinct.size(), size);
    ASSERT_EQ(*distinct.rbegin(), size - 1);
  }
}

TEST(SampleOrder, IsTheIdentityWithoutShuffling) {
  EXPECT_EQ(all_of(SampleOrder(1, 2, 4, false), 4), (std::vector<std::uint64_t>{0, 1, 2, 3}));
}

TEST(SampleOrder, DependsOnSeedAndEpochAlone) {
  const auto order = all_of(SampleOrder(1, 2, 60'000, true), 60'000);
  EXPECT_EQ(order, all_of(SampleOrder(1, 2, 60'000, true), 60'000));
  EXPECT_NE(order, all_of(SampleOrder(2, 2, 60'000, true), 60'000));
  EXPECT_NE(order, all_of(SampleOrder(1, 3, 60'000, true), 60'000));
  EXPECT_NE(order, all_of(SampleOrder(2, 1, 60'000, true), 60'000));
}

TEST(SampleOrder, ReachesTheEndOfAHugeSetAtOnce) {
  const std::uint64_t size = (std::uint64_t{1} << 62) + 1;
  EXPECT_LT(SampleOrder(1, 1, size, true)(size - 1), size);
}

// Chi-square of how often each element is put at each position, over many seeds: (size - 1)² degrees of freedom. For k
// degrees the statistic is nearly normal with mean k and variance 2k; five standard deviations are allowed.
TEST(SampleOrder, PutsEveryElementAtEveryPlaceEquallyOften) {
  constexpr int trials = 3'000;
  for (const std::uint64_t size : {2, 3, 4, 5, 7, 8, 10, 16, 17, 33}) {
    std::vector<double> count(size * size);
    for (int trial = 0; trial < trials; ++trial) {
      const SampleOrder order(trial / 100, trial % 100, size, true);
      for (std::uint64_t place = 0; place < size; ++place) count[order(place) * size + place] += 1;
    }
    const double expected = static_cast<double>(trials) / static_cast<double>(size);
    double statistic = 0;
    for (const double n : count) statistic += (n - expected) * (n - expected) / expected;
    const double degrees = static_cast<double>((size - 1) * (size - 1));
    EXPECT_LT(statistic, degrees + 5 * std::sqrt(2 * degrees)) << "size " << size;
  }
}

// The same for ordered pairs of neighbours: the successor of an element must not depend on it.
TEST(SampleOrder, MakesAllPairsNeighboursEquallyOften) {
  constexpr int trials = 3'000;
  for (const std::uint64_t size : {3, 4, 5, 8, 10, 16}) {
    std::vector<double> count(size * size);
    for (int trial = 0; trial < trials; ++trial) {
      const auto order = all_of(SampleOrder(trial, 0, size, true), size);
      for (std::uint64_t place = 1; place < size; ++place) count[order[place - 1] * size + order[place]] += 1;
    }
    const double pairs = static_cast<double>(size * (size - 1));
    const double expected = trials * static_cast<double>(size - 1) / pairs;
    double statistic = 0;
    for (std::uint64_t i = 0; i < size * size; ++i) {
      if (i / size != i % size) statistic += (count[i] - expected) * (count[i] - expected) / expected;
    }
    EXPECT_LT(statistic, pairs + 5 * std::sqrt(2 * pairs)) << "size " << size;
  }
}

// 100 samples of class 2, ten of class 5, one of class 7.
SamplesByClass uneven() {
  std::vector<std::uint64_t> samples(111);
  std::iota(samples.rbegin(), samples.rend(), 0);
  return {{2, 5, 7}, {0, 100, 110, 111}, samples};
}

std::vector<std::uint64_t> drawn(const SamplesByClass& by_class, std::uint64_t seed, std::uint64_t epoch,
                                 std::uint64_t size) {
  return all_of(SampleOrder(seed, epoch, size, true, &by_class), size);
}

// Chi-square of how often each sample is drawn: 110 degrees of freedom, mean 110 and variance 220; five standard
// deviations are allowed.
TEST(SampleOrder, DrawsEveryClassAndEverySampleOfItEquallyOften) {
  constexpr std::uint64_t draws = 600'000;
  const SamplesByClass by_class = uneven();
  std::vector<double> count(111);
  for (const std::uint64_t sample : drawn(by_class, 1, 2, draws)) count.at(sample) += 1;
  double statistic = 0;
  for (std::uint64_t place = 0; place < by_class.classes(); ++place) {
    const auto samples = by_class.samples_of(place);
    const double expected = static_cast<double>(draws) / 3 / static_cast<double>(samples.size());
    for (const std::uint64_t sample : samples) statistic += std::pow(count[sample] - expected, 2) / expected;
  }
  EXPECT_LT(statistic, 110 + 5 * std::sqrt(220));
}

TEST(SampleOrder, DrawsBySeedEpochAndPositionAlone) {
  const SamplesByClass by_class = uneven();
  EXPECT_EQ(drawn(by_class, 1, 2, 111), drawn(by_class, 1, 2, 111));
  EXPECT_NE(drawn(by_class, 1, 2, 111), drawn(by_class, 2, 2, 111));
  EXPECT_NE(drawn(by_class, 1, 2, 111), drawn(by_class, 1, 3, 111));
  EXPECT_EQ(all_of(SampleOrder(1, 2, 4, false, &by_class), 4), (std::vector<std::uint64_t>{0, 1, 2, 3}));
}

TEST(SampleOrder, GivesEachDrawRandomNumbersOfItsOwn) {
  const SamplesByClass by_class = uneven();
  const SampleOrder order(1, 2, 111, true, &by_class);
  std::set<std::uint64_t> keys;
  for (std::uint64_t position = 0; position < 111; ++position) keys.insert(order.random_key(position));
  EXPECT_EQ(keys.size(), 111u);
  EXPECT_NE(order.random_key(5), SampleOrder(1, 3, 111, true, &by_class).random_key(5));
  EXPECT_EQ(SampleOrder(1, 2, 111, true).random_key(5), 2u);
}

}  // namespace
}  // namespace trainyard
