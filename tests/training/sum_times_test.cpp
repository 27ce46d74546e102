#include "training/sum_times.h"

#include <gmock/gmock.h>

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A net whose gradients fit into one bucket: nothing hides their sum.
constexpr SumTimes small_net{.all = 0.0006, .unhidden = 0.0006};
// A net of many buckets, of which all but the last may be summed beside the backward pass.
constexpr SumTimes large_net{.all = 0.060, .unhidden = 0.010};

TEST(SumTimes, CountsWhatNothingCanHide) {
  EXPECT_DOUBLE_EQ(least_share_of_sums(small_net, 0.001), 0.6);
  EXPECT_DOUBLE_EQ(least_share_of_sums(large_net, 0.100), 0.1);
}

TEST(SumTimes, HidesNoSumBesideTheForwardPass) {
  // 4 ms of forward pass are a quarter of at most 16 ms of computation.
  EXPECT_NEAR(least_share_of_sums(large_net, 0.064), 48.0 / 64, 1e-12);
}

TEST(SumTimes, StaysAShareIfTheSumsTookLongerAlone) {
  EXPECT_DOUBLE_EQ(least_share_of_sums(small_net, 0.0005), 1);
  EXPECT_DOUBLE_EQ(least_share_of_sums(small_net, 0), 0);
}

TEST(SmallShare, IsNamedWithItsCostAndWhatToDo) {
  EXPECT_THAT(warning_of_small_share(small_net, 0.001, 4),
              AllOf(HasSubstr("4 samples per rank: at least 60 % of a step of 1.00 ms"), HasSubstr("loader.batch_size"),
                    HasSubstr("fewer GPUs")));
  EXPECT_THAT(warning_of_small_share(large_net, 0.064, 8), HasSubstr("at least 75 %"));
}

TEST(SmallShare, IsNotNamedWhileComputationTakesHalfOfAStep) {
  EXPECT_EQ(warning_of_small_share(small_net, 0.0012, 64), "");
  EXPECT_EQ(warning_of_small_share(large_net, 0.100, 64), "");
}

}  // namespace
}  // namespace trainyard
