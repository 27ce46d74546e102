#include "training/mix.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

// Image i is all i, its label i.
ClassBatch batch(std::int64_t number = 0) {
  return {.images = at::arange(4, at::kFloat).view({4, 1, 1, 1}).expand({4, 3, 20, 10}).contiguous(),
          .labels = at::arange(4, at::kLong),
          .number = number,
          .count = 4};
}

TEST(Mix, NeitherLeavesTheBatchAsItIs) {
  ClassBatch b = batch();
  mix(b, TrainConfig{}, 0);
  EXPECT_FALSE(b.other_labels.defined());
  EXPECT_TRUE(at::equal(b.images, batch().images));
}

TEST(Mix, MixupWeighsImagesAsItSays) {
  for (std::int64_t number = 0; number < 20; ++number) {
    ClassBatch b = batch(number);
    mix(b, TrainConfig{.mixup = 0.4}, 1);
    const auto share = b.share.item<double>();
    EXPECT_TRUE(share >= 0 && share <= 1) << share;
    EXPECT_TRUE(at::equal(b.other_labels, at::tensor({3, 2, 1, 0}, at::kLong)));
    EXPECT_NEAR(b.images[0][0][0][0].item<double>(), 3 * (1 - share), 1e-5);
    EXPECT_NEAR(b.images[2][2][19][9].item<double>(), 2 * share + (1 - share), 1e-5);
  }
}

TEST(Mix, CutmixPastesAsManyPixelsAsItSays) {
  for (std::int64_t number = 0; number < 50; ++number) {
    ClassBatch b = batch(number);
    mix(b, TrainConfig{.cutmix = 1}, 1);
    const auto own = b.images[0][0].eq(0).to(at::kFloat).mean().item<double>();
    const auto others = b.images[0][0].eq(3).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(own, b.share.item<double>(), 1e-6);
    EXPECT_NEAR(own + others, 1, 1e-6);
  }
}

TEST(Mix, DependsOnSeedEpochAndBatchAlone) {
  const TrainConfig config{.mixup = 0.4, .cutmix = 1};
  const auto share = [](const TrainConfig& c, std::int64_t epoch, std::int64_t number) {
    ClassBatch b = batch(number);
    mix(b, c, epoch);
    return b.share.item<double>();
  };
  EXPECT_EQ(share(config, 2, 5), share(config, 2, 5));
  EXPECT_NE(share(config, 2, 5), share(config, 2, 6));
  EXPECT_NE(share(config, 2, 5), share(config, 3, 5));
  TrainConfig other = config;
  other.seed = 1;
  EXPECT_NE(share(config, 2, 5), share(other, 2, 5));
}

TEST(Mix, SharesFollowTheBetaDistribution) {
  // Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
  for (const double alpha : {0.01, 0.4, 1.0, 3.0}) {
    double sum = 0;
    double squares = 0;
    constexpr int draws = 4000;
    ClassBatch b{.images = at::zeros({1, 1, 1, 1}), .labels = at::zeros({1}, at::kLong), .number = 0, .count = 1};
    for (b.number = 0; b.number < draws; ++b.number) {
      mix(b, TrainConfig{.mixup = alpha}, 0);
      const auto share = b.share.item<double>();
      sum += share;
      squares += share * share;
    }
    const double mean = sum / draws;
    EXPECT_NEAR(mean, 0.5, 0.03) << alpha;
    EXPECT_NEAR(squares / draws - mean * mean, 1 / (4 * (2 * alpha + 1)), 0.01) << alpha;
  }
}

}  // namespace
}  // namespace trainyard
