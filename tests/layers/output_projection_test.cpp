#include "layers/output_projection.h"

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>

#include "layers/cross_entropy.h"
#include "support/expect_close.h"
#include "support/precision_of.h"
#include "training/precision.h"

namespace trainyard {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(OutputProjection, IsLibTorchsOperatorOnTheCpu) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({2, 5, 8});
  const at::Tensor weight = at::randn({50, 8});
  const at::Tensor scores = output_projection(x, weight);
  EXPECT_TRUE(scores.is_contiguous());
  EXPECT_TRUE(at::equal(scores, at::linear(x, weight)));
}

class OutputProjectionOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }

  // Under autocast for 16-bit types.
  at::Tensor project(const at::Tensor& x, const at::Tensor& weight) const {
    const Autocast autocast(precision_of(x.scalar_type() == at::kDouble ? at::kDouble : GetParam()), at::kCUDA);
    return output_projection(x, weight);
  }
};

// Returns integers, so all products are exact.
at::Tensor integers(at::IntArrayRef sizes) { return at::randint(-3, 4, sizes, at::kFloat).to(at::kCUDA); }

TEST_P(OutputProjectionOnAGpu, HasTheScoresAndGradientsOfTheUnpaddedWeight) {
  for (const std::int64_t classes : {1, 50, 64, 257}) {
    SCOPED_TRACE(classes);
    const at::Tensor x = integers({3, 7, 16}).requires_grad_();
    const at::Tensor weight = integers({classes, 16}).requires_grad_();
    const at::Tensor dscores = integers({3, 7, classes});
    const at::Tensor scores = project(x, weight);
    EXPECT_EQ(scores.scalar_type(), GetParam());
    EXPECT_EQ(scores.stride(1) % 64, 0);
    scores.backward(dscores.to(scores.scalar_type()));
    const auto rounded = [](const at::Tensor& exact) { return exact.to(GetParam()).to(at::kFloat); };
    EXPECT_TRUE(at::equal(scores.to(at::kFloat), rounded(at::linear(x, weight))));
    EXPECT_TRUE(at::equal(x.grad(), rounded(dscores.matmul(weight.detach()))));
    EXPECT_TRUE(at::equal(weight.grad(), rounded(dscores.flatten(0, 1).t().mm(x.detach().flatten(0, 1)))));
  }
}

// The gradient of the loss has padded rows; the padding must not affect the gradient of the weight.
TEST_P(OutputProjectionOnAGpu, TrainsWithCrossEntropyLikeFloat64) {
  const std::int64_t classes = 257;
  const at::Tensor target = at::randint(0, classes, {96}, at::kLong).to(at::kCUDA);
  const auto gradients = [&](const at::Tensor& x, const at::Tensor& weight) {
    const at::Tensor loss = cross_entropy(project(x, weight).reshape({-1, classes}), target, -1).sum();
    loss.backward();
    return std::pair(x.grad(), weight.grad());
  };
  const at::Tensor x = at::randn({3, 32, 64}).to(GetParam()).to(at::kCUDA);
  const at::Tensor weight = at::randn({classes, 64}).to(GetParam()).to(at::kFloat).to(at::kCUDA);
  const auto [dx, dweight] = gradients(x.clone().requires_grad_(), weight.clone().requires_grad_());
  const auto [expected_dx, expected_dweight] =
      gradients(x.to(at::kDouble).requires_grad_(), weight.to(at::kDouble).requires_grad_());
  const double tolerance = GetParam() == at::kFloat ? 1e-5 : 4 * rounding_of(GetParam());
  expect_close(dx, expected_dx, tolerance, "dx");
  expect_close(dweight, expected_dweight, tolerance, "dweight");
}

TEST_P(OutputProjectionOnAGpu, CopiesNoSliceOfTheGradientOfALoss) {
  const at::Tensor x = integers({3, 32, 64}).requires_grad_();
  const at::Tensor target = at::zeros({96}, at::kLong).to(at::kCUDA);
  const at::Tensor scores = project(x, integers({257, 64}).requires_grad_());
  const at::Tensor loss = cross_entropy(scores.reshape({-1, 257}), target, -1);
  std::vector<std::string> nodes;
  for (auto node = loss.grad_fn(); node && node->num_outputs() > 0; node = node->next_edge(0).function) {
    nodes.push_back(node->name());
  }
  EXPECT_THAT(nodes, Contains(HasSubstr("CrossEntropy")));
  EXPECT_THAT(nodes, Not(Contains(HasSubstr("Slice"))));
}

INSTANTIATE_TEST_SUITE_P(OutputProjection, OutputProjectionOnAGpu,
                         testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
