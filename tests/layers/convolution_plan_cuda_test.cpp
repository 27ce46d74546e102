#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>

#include "layers/cuda/convolution_plan.h"
#include "support/expect_close.h"

namespace trainyard {
namespace {

at::Tensor half(at::IntArrayRef sizes) {
  return at::randn(sizes).to(at::kCUDA, at::kHalf).contiguous(at::MemoryFormat::ChannelsLast);
}

TEST(ConvolutionPlan, ConvolvesAndSumsUpTheOutput) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  at::manual_seed(1);
  std::size_t plans = 0;
  for (const ConvolutionShape& shape :
       {ConvolutionShape{{64, 64, 56, 56}, {256, 64, 1, 1}, {64, 256, 56, 56}, {1, 1}, {0, 0}, {1, 1}},
        ConvolutionShape{{8, 64, 56, 56}, {64, 64, 3, 3}, {8, 64, 56, 56}, {1, 1}, {1, 1}, {1, 1}},
        ConvolutionShape{{8, 128, 28, 28}, {128, 128, 3, 3}, {8, 128, 14, 14}, {2, 2}, {1, 1}, {1, 1}},
        ConvolutionShape{{3, 24, 19, 23}, {40, 24, 3, 3}, {3, 40, 19, 23}, {1, 1}, {2, 2}, {2, 2}},
        ConvolutionShape{{8, 3, 64, 64}, {64, 3, 7, 7}, {8, 64, 32, 32}, {2, 2}, {3, 3}, {1, 1}}}) {
    const at::Tensor x = half(shape.x);
    const at::Tensor w = half(shape.w);
    const at::Tensor expected =
        at::convolution(x.to(at::kDouble), w.to(at::kDouble), /*bias=*/{}, shape.stride, shape.padding, shape.dilation,
                        /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1);
    for (const ConvolutionPlan& plan : ConvolutionPlan::recommended(shape)) {
      SCOPED_TRACE(fmt::format("plan {}, {} channels to {}", ++plans, shape.w[1], shape.w[0]));
      const at::Tensor y = at::empty(shape.y, x.options(), at::MemoryFormat::ChannelsLast).fill_(NAN);
      const at::Tensor sums = at::full({2, shape.y[1]}, NAN, x.options().dtype(at::kFloat));
      const at::Tensor workspace = at::empty({plan.workspace()}, x.options().dtype(at::kByte));
      plan.run({.x = x.const_data_ptr(),
                .w = w.const_data_ptr(),
                .y = y.mutable_data_ptr(),
                .sum = sums.mutable_data_ptr<float>(),
                .square_sum = sums.mutable_data_ptr<float>() + shape.y[1],
                .workspace = workspace.mutable_data_ptr()});
      expect_close(y, expected, rounding_of(at::kHalf), "y");
      expect_close(sums[0], expected.sum({0, 2, 3}), 1e-3, "the sum");
      expect_close(sums[1], expected.square().sum({0, 2, 3}), 1e-4, "the sum of squares");
    }
  }
  RecordProperty("plans", static_cast<int>(plans));
}

}  // namespace
}  // namespace trainyard
