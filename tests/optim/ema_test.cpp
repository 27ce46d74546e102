#include "optim/ema.h"

#include <gtest/gtest.h>

#include "support/small_model.h"

namespace trainyard {
namespace {

TEST(Ema, FollowsItsFormula) {
  const auto source = small_model();
  const auto average = small_model();
  tensor_of(*source, "bn1.weight").fill_(5);
  Ema ema(*source, *average, 0.5);
  EXPECT_TRUE(at::equal(tensor_of(*average, "bn1.weight"), tensor_of(*source, "bn1.weight"))) << "it begins there";

  tensor_of(*source, "bn1.weight").fill_(7);
  tensor_of(*source, "bn1.running_mean").fill_(2);
  tensor_of(*source, "bn1.num_batches_tracked").fill_(9);
  ema.update(1);  // decay (1 + 1) / (10 + 1)
  const double decay = 2.0 / 11;
  EXPECT_NEAR(tensor_of(*average, "bn1.weight")[0].item<double>(), decay * 5 + (1 - decay) * 7, 1e-6);
  EXPECT_NEAR(tensor_of(*average, "bn1.running_mean")[0].item<double>(), (1 - decay) * 2, 1e-6);
  EXPECT_EQ(tensor_of(*average, "bn1.num_batches_tracked").item<std::int64_t>(), 9);

  tensor_of(*average, "bn1.weight").fill_(0);
  ema.update(1000);  // by now the decay has reached its full value
  EXPECT_NEAR(tensor_of(*average, "bn1.weight")[0].item<double>(), 3.5, 1e-6);
}

}  // namespace
}  // namespace trainyard
