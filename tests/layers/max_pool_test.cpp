#include "layers/max_pool.h"

#include <cmath>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/function.h>

#include "support/error_of.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Window {
  std::int64_t size, stride, padding;
};

constexpr Window windows[] = {{3, 2, 1}, {2, 2, 0}, {3, 1, 1}, {2, 1, 1}, {3, 3, 0}, {2, 3, 0}};

// The results of one forward and backward pass.
struct Results {
  at::Tensor y, dx;
  std::string node;  // the autograd node that computed the gradient
};

// Gradients count up, so a misplaced one is detected.
template <typename Pool>
Results run(const Pool& pool, const at::Tensor& input) {
  const at::Tensor x = input.detach().requires_grad_();
  const at::Tensor y = pool(x);
  y.backward((at::arange(y.numel(), y.options().dtype(at::kLong)) % 31).view(y.sizes()).to(y.scalar_type()));
  return {y.detach(), x.grad(), y.grad_fn()->name()};
}

Results run_max_pool(const at::Tensor& x, const Window& window) {
  return run([&](const at::Tensor& t) { return max_pool(t, window.size, window.stride, window.padding); }, x);
}

Results run_operator(const at::Tensor& x, const Window& window) {
  return run([&](const at::Tensor& t) { return at::max_pool2d(t, window.size, window.stride, window.padding); }, x);
}

TEST(MaxPool, UsesLibTorchsOperatorOnTheCpu) {
  const at::Tensor x = at::randn({2, 8, 9, 7}).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(at::equal(max_pool(x, 3, 2, 1), at::max_pool2d(x, 3, 2, 1)));
  EXPECT_TRUE(at::equal(max_pool(x, 4, 4), at::max_pool2d(x, 4, 4)));
}

class MaxPoolOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }

  // Small integers, many of them equal; every type represents them and their sums exactly.
  at::Tensor values(at::IntArrayRef sizes) const {
    return at::randint(-9, 9, sizes, at::kLong).to(at::kCUDA, GetParam()).contiguous(at::MemoryFormat::ChannelsLast);
  }
};

TEST_P(MaxPoolOnAGpu, MatchesTheOperatorAndPicksTheFirstOfEqualValues) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{
           {2, 8, 9, 7}, {3, 24, 3, 3}, {16, 64, 56, 56}, {1, 264, 13, 4}, {5, 2048, 7, 8}}) {
    const at::Tensor x = values(shape);
    for (const Window& window : windows) {
      SCOPED_TRACE(fmt::format("{}, windows of {} by {}", shape, window.size, window.stride));
      const Results fused = run_max_pool(x, window);
      EXPECT_THAT(fused.node, HasSubstr("MaxPool>"));
      EXPECT_TRUE(fused.y.is_contiguous(at::MemoryFormat::ChannelsLast));
      EXPECT_EQ(fused.y.scalar_type(), GetParam());
      const Results expected = run_operator(x.to(at::kCPU, at::kDouble), window);
      EXPECT_TRUE(at::equal(fused.y.to(at::kCPU, at::kDouble), expected.y));
      EXPECT_TRUE(at::equal(fused.dx.to(at::kCPU, at::kDouble), expected.dx));
    }
  }
}

TEST_P(MaxPoolOnAGpu, PicksNaNFirstAndAcceptsInfinity) {
  at::Tensor x = values({2, 8, 9, 7});
  x.select(0, 1).fill_(-INFINITY);
  x[0][3][4][4] = NAN;
  x[0][3][4][5] = NAN;
  for (const Window& window : windows) {
    const Results fused = run_max_pool(x, window);
    const Results expected = run_operator(x.to(at::kCPU, at::kDouble), window);
    EXPECT_TRUE(fused.y.to(at::kCPU, at::kDouble).allclose(expected.y, 0, 0, /*equal_nan=*/true));
    EXPECT_TRUE(at::equal(fused.dx.to(at::kCPU, at::kDouble), expected.dx));
  }
}

TEST_P(MaxPoolOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  EXPECT_THAT(run_max_pool(values({2, GetParam() == at::kFloat ? 6 : 12, 9, 7}), {3, 2, 1}).node,
              Not(HasSubstr("MaxPool>")));
  EXPECT_THAT(run_max_pool(values({2, 16, 9, 7}).contiguous(), {3, 2, 1}).node, Not(HasSubstr("MaxPool>")));
  EXPECT_THAT(run_max_pool(values({2, 16, 9, 7}).to(at::kDouble), {3, 2, 1}).node, Not(HasSubstr("MaxPool>")));
  EXPECT_THAT(run_max_pool(values({2, 16, 9, 7}), {4, 2, 1}).node, Not(HasSubstr("MaxPool>")));
  EXPECT_THAT(error_of<c10::Error>([&] { max_pool(values({2, 16, 9, 7}), 3, 2, 2); }),
              HasSubstr("pad should be at most"));
  EXPECT_THAT(error_of<c10::Error>([&] { max_pool(values({2, 16, 1, 7}), 3, 2, 0); }), HasSubstr("too small"));
}

INSTANTIATE_TEST_SUITE_P(MaxPool, MaxPoolOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
