#include "optim/ema.h"

#include <gtest/gtest.h>

#include "models/layers.h"

namespace trainyard {
namespace {

TEST(Ema, FollowsItsFormula) {
  torch::nn::BatchNorm2d source(3);
  torch::nn::BatchNorm2d average(3);
  source->weight.data().fill_(5);
  Ema ema(*source, *average, 0.5);
  EXPECT_TRUE(at::equal(average->weight, source->weight)) << "it begins at the weights";

  source->weight.data().fill_(7);
  source->running_mean.fill_(2);
  source->num_batches_tracked.fill_(9);
  ema.update(1);  // decay (1 + 1) / (10 + 1)
  const double decay = 2.0 / 11;
  EXPECT_NEAR(average->weight[0].item<double>(), decay * 5 + (1 - decay) * 7, 1e-6);
  EXPECT_NEAR(average->running_mean[0].item<double>(), (1 - decay) * 2, 1e-6);
  EXPECT_EQ(average->num_batches_tracked.item<std::int64_t>(), 9);

  average->weight.data().fill_(0);
  ema.update(1000);  // long since the decay itself
  EXPECT_NEAR(average->weight[0].item<double>(), 3.5, 1e-6);
}

}  // namespace
}  // namespace trainyard
