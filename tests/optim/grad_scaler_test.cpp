#include "optim/grad_scaler.h"

#include <cmath>

#include <gtest/gtest.h>

#include "models/tensor_fit.h"

namespace trainyard {
namespace {

TEST(GradScaler, UnscaleUndoesScale) {
  const GradScaler scaler(true, at::kCPU);
  at::Tensor weight = at::tensor({2.F, 3.F}).requires_grad_();
  scaler.scale((weight * weight).sum()).backward();
  std::vector<at::Tensor> gradients = {weight.grad()};
  EXPECT_GT(gradients[0].min().item<float>(), 1000);
  at::Tensor found_inf = at::zeros({1});
  scaler.unscale(gradients, found_inf);
  EXPECT_TRUE(at::equal(gradients[0], at::tensor({4.F, 6.F})));
  EXPECT_EQ(found_inf.item<float>(), 0);
}

TEST(GradScaler, OverflowIsFoundAndHalvesTheScale) {
  GradScaler scaler(true, at::kCPU);
  const double before = scaler.state()[0].second.item<double>();
  std::vector<at::Tensor> gradients = {at::ones({2}), at::tensor({1.F, static_cast<float>(INFINITY)})};
  at::Tensor found_inf = at::zeros({1});
  scaler.unscale(gradients, found_inf);
  EXPECT_EQ(found_inf.item<float>(), 1);
  scaler.update(found_inf);
  EXPECT_EQ(scaler.state()[0].second.item<double>(), before / 2);
}

TEST(GradScaler, DoublesAfterTwoThousandGoodStepsAlsoAcrossAResume) {
  GradScaler first(true, at::kCPU);
  const double before = first.state()[0].second.item<double>();
  for (int i = 0; i < 1500; ++i) first.update(at::zeros({1}));
  GradScaler second(true, at::kCPU);
  TensorFit(second.state(), first.state(), Types::same).copy();
  for (int i = 0; i < 499; ++i) second.update(at::zeros({1}));
  EXPECT_EQ(second.state()[0].second.item<double>(), before);
  second.update(at::zeros({1}));
  EXPECT_EQ(second.state()[0].second.item<double>(), 2 * before);
}

TEST(GradScaler, DisabledDoesNothing) {
  GradScaler scaler(false, at::kCPU);
  const at::Tensor loss = at::scalar_tensor(3.0F);
  EXPECT_TRUE(scaler.scale(loss).is_same(loss));
  EXPECT_TRUE(scaler.state().empty());
}

}  // namespace
}  // namespace trainyard
