#include "layers/global_average_pool.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>

namespace trainyard {
namespace {

at::Tensor gradient_of(const at::Tensor& y, const at::Tensor& x, const at::Tensor& dy, bool again = false) {
  return torch::autograd::grad({y}, {x}, {dy}, /*retain_graph=*/again, /*create_graph=*/again).front();
}

TEST(GlobalAveragePool, HasTheResultsAndGradientsOfMean) {
  at::manual_seed(1);
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA, 0)}) {
    if (device.is_cuda() && !at::hasCUDA()) continue;
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const auto& [height, width] : {std::pair{7, 7}, {1, 1}, {3, 5}}) {
        for (const at::MemoryFormat format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
          at::Tensor x = at::randn({4, 9, height, width}).to(device, type).contiguous(format);
          x.requires_grad_();
          const at::Tensor y = global_average_pool(x);
          const at::Tensor expected = x.mean({2, 3});
          EXPECT_TRUE(at::equal(y, expected));
          const at::Tensor dy = at::randn({4, 9}).to(device, type);
          EXPECT_TRUE(at::equal(gradient_of(y, x, dy), gradient_of(expected, x, dy)));
        }
      }
    }
  }
}

TEST(GlobalAveragePool, ItsGradientHasTheMemoryFormatOfTheInput) {
  const at::Tensor dy = at::ones({2, 3});
  at::Tensor x = at::randn({2, 3, 4, 5}).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  EXPECT_TRUE(gradient_of(global_average_pool(x), x, dy).is_contiguous(at::MemoryFormat::ChannelsLast));
  x = at::randn({2, 3, 4, 5}).requires_grad_();
  EXPECT_TRUE(gradient_of(global_average_pool(x), x, dy).is_contiguous());
}

TEST(GlobalAveragePool, HasASecondDerivative) {
  at::Tensor x = at::randn({2, 3, 4, 5}, at::kDouble).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
  const auto second = [&](const at::Tensor& y) {
    const at::Tensor first = gradient_of(y.square().sum(), x, {}, /*again=*/true);
    return gradient_of(first.pow(3).sum(), x, {});
  };
  EXPECT_TRUE(at::allclose(second(global_average_pool(x)), second(x.mean({2, 3})), 1e-12, 0));
}

}  // namespace
}  // namespace trainyard
