#include "tasks/mix.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

// All pixels of image i are i, and its label is i.
TensorDict batch() {
  return {{"image", at::arange(4, at::kFloat).view({4, 1, 1, 1}).expand({4, 3, 20, 10}).contiguous()},
          {"label", at::arange(4, at::kLong)}};
}

struct Alphas {
  double mixup = 0;
  double cutmix = 0;
};

TensorDict mixed(const Alphas& alphas, const BatchKey& key) {
  TensorDict b = batch();
  mix(b, "label", alphas.mixup, alphas.cutmix, key);
  return b;
}

TEST(Mix, NeitherLeavesTheBatchAsItIs) {
  const TensorDict b = mixed({}, {});
  EXPECT_FALSE(b.contains("other_label"));
  EXPECT_TRUE(at::equal(b.at("image"), batch().at("image")));
}

TEST(Mix, MixupWeighsImagesAsItSays) {
  for (std::uint64_t number = 0; number < 20; ++number) {
    const TensorDict b = mixed({.mixup = 0.4}, {.seed = 0, .epoch = 1, .number = number});
    const auto share = b.at("share").item<double>();
    EXPECT_TRUE(share >= 0 && share <= 1) << share;
    EXPECT_TRUE(at::equal(b.at("other_label"), at::tensor({3, 2, 1, 0}, at::kLong)));
    EXPECT_NEAR(b.at("image")[0][0][0][0].item<double>(), 3 * (1 - share), 1e-5);
    EXPECT_NEAR(b.at("image")[2][2][19][9].item<double>(), 2 * share + (1 - share), 1e-5);
  }
}

TEST(Mix, KeepsTheTypeOfImagesAndSharesExactly) {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    TensorDict b = batch();
    b.set("image", b.at("image").to(type));
    const BatchKey key{.seed = 0, .epoch = 1, .number = 3};
    mix(b, "label", /*mixup_alpha=*/0.4, /*cutmix_alpha=*/0, key);
    const TensorDict exact = mixed({.mixup = 0.4}, key);
    EXPECT_TRUE(at::equal(b.at("share"), exact.at("share")));
    EXPECT_TRUE(at::equal(b.at("image"), exact.at("image").to(type)));
  }
}

TEST(Mix, CutmixPastesAsManyPixelsAsItSays) {
  for (std::uint64_t number = 0; number < 50; ++number) {
    const TensorDict b = mixed({.cutmix = 1}, {.seed = 0, .epoch = 1, .number = number});
    const auto own = b.at("image")[0][0].eq(0).to(at::kFloat).mean().item<double>();
    const auto others = b.at("image")[0][0].eq(3).to(at::kFloat).mean().item<double>();
    EXPECT_NEAR(own, b.at("share").item<double>(), 1e-6);
    EXPECT_NEAR(own + others, 1, 1e-6);
  }
}

TEST(Mix, BothTakeTurnsAtRandom) {
  int cut = 0;
  for (std::uint64_t number = 0; number < 200; ++number) {
    const TensorDict b = mixed({.mixup = 1, .cutmix = 1}, {.seed = 0, .epoch = 1, .number = number});
    const at::Tensor image = b.at("image")[0];
    cut += image.eq(0).logical_or(image.eq(3)).all().item<bool>() ? 1 : 0;
  }
  EXPECT_NEAR(cut, 100, 30);
}

TEST(Mix, DependsOnSeedEpochAndBatchAlone) {
  const auto share = [](const BatchKey& key) {
    return mixed({.mixup = 0.4, .cutmix = 1}, key).at("share").item<double>();
  };
  EXPECT_EQ(share({.seed = 0, .epoch = 2, .number = 5}), share({.seed = 0, .epoch = 2, .number = 5}));
  EXPECT_NE(share({.seed = 0, .epoch = 2, .number = 5}), share({.seed = 0, .epoch = 2, .number = 6}));
  EXPECT_NE(share({.seed = 0, .epoch = 2, .number = 5}), share({.seed = 0, .epoch = 3, .number = 5}));
  EXPECT_NE(share({.seed = 0, .epoch = 2, .number = 5}), share({.seed = 1, .epoch = 2, .number = 5}));
}

TEST(Mix, SharesFollowTheBetaDistribution) {
  // Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
  for (const double alpha : {0.01, 0.4, 1.0, 3.0}) {
    double sum = 0;
    double squares = 0;
    constexpr int draws = 4000;
    for (std::uint64_t number = 0; number < draws; ++number) {
      const TensorDict b = mixed({.mixup = alpha}, {.seed = 0, .epoch = 0, .number = number});
      const auto share = b.at("share").item<double>();
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
