#include "layers/output_projection.h"

#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>

#include "layers/cross_entropy.h"
#include "support/expect_close.h"
#include "support/precision_of.h"
#include "training/cuda_graph.h"
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

struct Training {
  at::Tensor x, weight, target, dloss;
};

constexpr std::int64_t ignored = -1;

// About one row in eight is ignored. x and weight are rounded to `type`.
Training random_training(std::int64_t rows, std::int64_t classes, at::ScalarType type) {
  const at::Tensor target = at::randint(0, classes, {rows}, at::kLong);
  return {.x = at::randn({rows, 64}).to(type).to(at::kCUDA),
          .weight = (at::randn({classes, 64}) / 4).to(type).to(at::kFloat).to(at::kCUDA),
          .target = target.masked_fill(at::rand({rows}) < 0.125, ignored).to(at::kCUDA),
          .dloss = at::randn({rows}).to(at::kCUDA)};
}

struct Results {
  at::Tensor loss, dx, dweight;
  std::string node;
};

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

  Results train(const Training& training, const at::Tensor& dloss, double smoothing = 0) const {
    const at::Tensor x = training.x.detach().requires_grad_();
    const at::Tensor weight = training.weight.detach().requires_grad_();
    const at::Tensor loss = cross_entropy(project(x, weight), training.target, ignored, smoothing);
    loss.backward(dloss.to(loss.scalar_type()));
    return {loss.detach(), x.grad(), weight.grad(), loss.grad_fn()->name()};
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
  for (const std::int64_t classes : {257, 4096, 5003, 50257}) {
    for (const double smoothing : {0.0, 0.1}) {
      SCOPED_TRACE(fmt::format("{} classes, smoothing {}", classes, smoothing));
      const Training training = random_training(96, classes, GetParam());
      const Results actual = train(training, training.dloss, smoothing);
      const Results expected = train({training.x.to(at::kDouble), training.weight.to(at::kDouble), training.target},
                                     training.dloss, smoothing);
      const double tolerance = GetParam() == at::kFloat ? 1e-5 : 4 * rounding_of(GetParam());
      expect_close(actual.loss, expected.loss, tolerance, "loss");
      expect_close(actual.dx, expected.dx, tolerance, "dx");
      expect_close(actual.dweight, expected.dweight, tolerance, "dweight");
    }
  }
}

TEST_P(OutputProjectionOnAGpu, ComputesBf16GradientsWithTheLoss) {
  const auto node = [this](std::int64_t classes) {
    const Training training = random_training(96, classes, GetParam());
    return train(training, training.dloss).node;
  };
  EXPECT_EQ(node(5003).find("ProjectedCrossEntropy") != std::string::npos, GetParam() == at::kBFloat16);
  EXPECT_THAT(node(257), Not(HasSubstr("ProjectedCrossEntropy")));
}

TEST_P(OutputProjectionOnAGpu, OverwritesTheScoresWithTheGradientOfTheLoss) {
  const Training training = random_training(96, 5003, GetParam());
  const Results expected = train(training, training.dloss);
  const at::Tensor x = training.x.detach().requires_grad_();
  const at::Tensor weight = training.weight.detach().requires_grad_();
  const at::Tensor scores = project(x, weight);
  const at::Tensor before = scores.detach().clone();
  const at::Tensor loss = cross_entropy_in_place(scores, training.target, ignored);
  loss.backward(training.dloss.to(loss.scalar_type()));
  EXPECT_TRUE(at::equal(loss, expected.loss));
  EXPECT_TRUE(at::equal(x.grad(), expected.dx));
  EXPECT_TRUE(at::equal(weight.grad(), expected.dweight));
  EXPECT_EQ(at::equal(scores, before), GetParam() != at::kBFloat16);
}

TEST_P(OutputProjectionOnAGpu, LeavesTheScoresAsTheyAreWithoutGradients) {
  const at::NoGradGuard no_grad;
  const Training training = random_training(96, 5003, GetParam());
  const at::Tensor scores = project(training.x, training.weight);
  const at::Tensor before = scores.clone();
  const at::Tensor loss = cross_entropy_in_place(scores, training.target, ignored);
  EXPECT_TRUE(at::equal(scores, before));
  EXPECT_TRUE(at::equal(loss, cross_entropy(scores, training.target, ignored)));
}

TEST_P(OutputProjectionOnAGpu, TrainsWithTheSameBitsTwice) {
  const Training training = random_training(512, 5003, GetParam());
  const Results once = train(training, training.dloss), twice = train(training, training.dloss);
  EXPECT_TRUE(at::equal(once.loss, twice.loss));
  EXPECT_TRUE(at::equal(once.dx, twice.dx));
  EXPECT_TRUE(at::equal(once.dweight, twice.dweight));
}

TEST_P(OutputProjectionOnAGpu, IgnoredRowsHaveNoGradient) {
  Training training = random_training(64, 5003, GetParam());
  training.target.fill_(ignored);
  const Results actual = train(training, at::full({64}, INFINITY, training.dloss.options()));
  EXPECT_EQ(actual.loss.abs().max().item<float>(), 0);
  EXPECT_EQ(actual.dx.abs().max().item<float>(), 0);
  EXPECT_EQ(actual.dweight.abs().max().item<float>(), 0);
}

TEST_P(OutputProjectionOnAGpu, AddsTheGradientsOfOtherUses) {
  const Training training = random_training(64, 5003, GetParam());
  const at::Tensor dscores = at::randn({64, 5003}).to(at::kCUDA) / 5003;
  const auto gradients = [&](const at::Tensor& given_x, const at::Tensor& given_weight) {
    const at::Tensor x = given_x.detach().requires_grad_(), weight = given_weight.detach().requires_grad_();
    const at::Tensor scores = project(x, weight);
    const at::Tensor loss = cross_entropy(scores, training.target, ignored).sum();
    (loss + (scores * dscores).sum()).backward(/*gradient=*/{}, /*retain_graph=*/true);
    const at::Tensor once = x.grad().clone();
    loss.backward();
    return std::tuple(once, x.grad(), weight.grad());
  };
  const auto [once, dx, dweight] = gradients(training.x, training.weight);
  const auto [expected_once, expected_dx, expected_dweight] =
      gradients(training.x.to(at::kDouble), training.weight.to(at::kDouble));
  const double tolerance = GetParam() == at::kFloat ? 1e-5 : 4 * rounding_of(GetParam());
  expect_close(once, expected_once, tolerance, "dx of one pass");
  expect_close(dx, expected_dx, tolerance, "dx");
  expect_close(dweight, expected_dweight, tolerance, "dweight");
}

TEST_P(OutputProjectionOnAGpu, ComputesOnlyTheGradientsThatAreNeeded) {
  const Training training = random_training(64, 5003, GetParam());
  const Results both = train(training, training.dloss);
  for (const bool of_x : {true, false}) {
    const at::Tensor x = training.x.detach().requires_grad_(of_x);
    const at::Tensor weight = training.weight.detach().requires_grad_(!of_x);
    cross_entropy(project(x, weight), training.target, ignored).backward(training.dloss);
    EXPECT_TRUE(at::equal(of_x ? x.grad() : weight.grad(), of_x ? both.dx : both.dweight));
    EXPECT_FALSE((of_x ? weight : x).grad().defined());
  }
}

TEST_P(OutputProjectionOnAGpu, TrainsInACudaGraph) {
  const Training training = random_training(64, 5003, GetParam()), other = random_training(64, 5003, GetParam());
  const Training captured{training.x.clone(), training.weight, training.target.clone(), training.dloss.clone()};
  train(training, training.dloss);
  Results results;
  const auto graph = capture_cuda_graph(training.x.device(), [&] { results = train(captured, captured.dloss); });
  for (const Training& one : {training, other}) {
    captured.x.copy_(one.x);
    captured.target.copy_(one.target);
    captured.dloss.copy_(one.dloss);
    graph->replay();
    const Results expected = train(captured, captured.dloss);
    EXPECT_TRUE(at::equal(results.loss, expected.loss));
    EXPECT_TRUE(at::equal(results.dx, expected.dx));
    EXPECT_TRUE(at::equal(results.dweight, expected.dweight));
  }
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
