#include "layers/squared_relu.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/csrc/autograd/function.h>

namespace trainyard {
namespace {

struct Result {
  at::Tensor y, dx;  // float64 on the CPU
};

template <typename Function>
Result values_and_gradient(const Function& function, const at::Tensor& x, const at::Tensor& dy) {
  const at::Tensor input = x.detach().requires_grad_();
  const at::Tensor y = function(input);
  y.backward(dy.to(y.options()));
  return {y.detach().to(at::kCPU, at::kDouble), input.grad().to(at::kCPU, at::kDouble)};
}

// Against the composition in float64 of the same numbers; each result is one or two roundings away from it.
void expect_close_to_float64(const at::Tensor& x) {
  const at::Tensor dy = at::randn(x.sizes());
  const Result expected = values_and_gradient([](const at::Tensor& v) { return v.relu().square(); },
                                              x.to(at::kCPU, at::kDouble), dy.to(at::kDouble));
  const Result found = values_and_gradient(squared_relu, x, dy.to(x.device()));
  const double epsilon = x.scalar_type() == at::kDouble ? 1e-15 : 3e-7;
  EXPECT_TRUE(at::allclose(found.y, expected.y, epsilon, 0, /*equal_nan=*/true));
  EXPECT_TRUE(at::allclose(found.dx, expected.dx, epsilon, 0, /*equal_nan=*/true));
}

std::vector<at::Tensor> inputs(at::Device device) {
  const at::TensorOptions options(device);
  at::Tensor special = at::randn({7});
  special[0] = std::numeric_limits<float>::quiet_NaN();
  special[1] = -0.0F;
  std::vector<at::Tensor> all = {
      at::randn({3, 5}), at::randn({2'000'003}),        at::randn({8, 6}).t(), at::empty({0}),
      special,           at::randn({4, 4}, at::kDouble)};
  for (at::Tensor& x : all) x = x.to(device);
  return all;
}

TEST(SquaredRelu, MatchesTheFloat64CompositionOnTheCpu) {
  at::manual_seed(1);
  for (const at::Tensor& x : inputs(at::kCPU)) expect_close_to_float64(x);
}

TEST(SquaredRelu, MatchesTheFloat64CompositionOnAGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  at::manual_seed(1);
  for (const at::Tensor& x : inputs(at::kCUDA)) expect_close_to_float64(x);
}

TEST(SquaredRelu, KernelsAreUsedOnAGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  const at::Tensor y = squared_relu(at::randn({9}, at::kCUDA).requires_grad_());
  EXPECT_NE(y.grad_fn()->name().find("SquaredRelu"), std::string::npos) << y.grad_fn()->name();
}

}  // namespace
}  // namespace trainyard
