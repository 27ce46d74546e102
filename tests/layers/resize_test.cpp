#include "layers/resize.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include "support/expect_close.h"

namespace trainyard {
namespace {

struct Pass {
  at::Tensor y, dx;
};

// Gradients differ, so a misplaced one is detected.
template <typename Resize>
Pass passed(const Resize& resize, const at::Tensor& input) {
  const at::Tensor x = input.detach().requires_grad_();
  const at::Tensor y = resize(x);
  y.backward((at::arange(y.numel(), y.options().dtype(at::kLong)) % 31).view(y.sizes()).to(y.scalar_type()));
  return {y.detach(), x.grad()};
}

TEST(ResizeBilinear, GivesWhatLibTorchsOperatorGives) {
  at::manual_seed(1);
  for (const std::vector<std::int64_t>& size :
       {std::vector<std::int64_t>{1, 1, 7, 5}, {4, 3, 32, 24}, {4, 3, 33, 47}, {12, 12, 12, 12}, {9, 13, 4, 5}}) {
    const at::Tensor x = at::randn({2, 3, size[0], size[1]}, at::kDouble).contiguous(at::MemoryFormat::ChannelsLast);
    const Pass ours = passed([&](const at::Tensor& t) { return resize_bilinear(t, size[2], size[3]); }, x);
    const Pass expected = passed(
        [&](const at::Tensor& t) { return at::upsample_bilinear2d(t, {size[2], size[3]}, /*align_corners=*/false); },
        x);
    expect_close(ours.y, expected.y, 1e-12, "y");
    expect_close(ours.dx, expected.dx, 1e-12, "dx");
  }
}

TEST(ResizeBilinear, OfLowerPrecisionReturnsFloat32AlsoUnderAutocast) {
  const at::Tensor x = at::randn({2, 3, 4, 5}).to(at::kBFloat16);
  const at::Tensor expected = at::upsample_bilinear2d(x.to(at::kFloat), {13, 11}, /*align_corners=*/false);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const at::Tensor y = resize_bilinear(x, 13, 11);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  expect_close(y, expected, 2e-6, "y");
}

TEST(ResizeBilinear, OnAGpuGivesTheSameBitsInEveryRun) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  const at::Tensor x = at::randn({8, 11, 12, 12}, at::kCUDA);
  const auto resize = [](const at::Tensor& t) { return resize_bilinear(t, 96, 96); };
  const Pass first = passed(resize, x);
  for (int i = 0; i < 20; ++i) {
    const Pass again = passed(resize, x);
    EXPECT_TRUE(at::equal(again.y, first.y));
    EXPECT_TRUE(at::equal(again.dx, first.dx));
  }
}

}  // namespace
}  // namespace trainyard
