#include "tasks/worst.h"

#include <cmath>

#include <gmock/gmock.h>

namespace trainyard {
namespace {

using testing::ElementsAre;

// Adds entries as an evaluation does, each named by its place.
std::vector<int> worst_two_of(const std::vector<double>& losses) {
  Worst<int> worst(2);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (worst.takes(losses[i])) worst.add(losses[i], static_cast<int>(i));
  }
  return worst.take();
}

TEST(Worst, KeepsTheGreatestLossesGreatestFirst) { EXPECT_THAT(worst_two_of({1, 3, 0, 2}), ElementsAre(1, 3)); }

TEST(Worst, KeepsTheEarliestOfEqualLosses) { EXPECT_THAT(worst_two_of({1, 1, 1}), ElementsAre(0, 1)); }

TEST(Worst, CountsNanAsTheGreatestLoss) {
  EXPECT_THAT(worst_two_of({NAN, 1, 3, 2}), ElementsAre(0, 2));
  EXPECT_THAT(worst_two_of({1, 3, HUGE_VAL, NAN}), ElementsAre(3, 2));
}

}  // namespace
}  // namespace trainyard
