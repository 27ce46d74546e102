// Compares with LibTorch's operators: on the CPU bit for bit, on a GPU with the same operators in float64.

#include "layers/cross_entropy.h"

#include <cmath>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "support/error_of.h"
#include "support/expect_close.h"
#include "support/precision_of.h"
#include "training/cuda_graph.h"
#include "training/precision.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t ignored = -1;

struct Input {
  at::Tensor logits, target, dloss;
  double label_smoothing = 0;

  Input in_float64() const { return {logits.to(at::kDouble), target, dloss.to(at::kDouble), label_smoothing}; }
};

struct Results {
  at::Tensor loss, dlogits;
  std::string node;  // the autograd node that computed the gradient
};

// About one row in eight is ignored.
Input random_input(std::int64_t rows, std::int64_t classes, at::ScalarType type, at::Device device,
                   double label_smoothing = 0) {
  const at::Tensor target = at::randint(0, classes, {rows}, at::kLong);
  return {.logits = (at::randn({rows, classes}) * 3).to(type).to(device),
          .target = target.masked_fill(at::rand({rows}) < 0.125, ignored).to(device),
          .dloss = at::randn({rows}).to(device),
          .label_smoothing = label_smoothing};
}

at::Tensor loss_of(const at::Tensor& logits, const Input& input) {
  return cross_entropy(logits, input.target, ignored, input.label_smoothing);
}

Results run(const Input& input) {
  const at::Tensor logits = input.logits.detach().requires_grad_();
  const at::Tensor loss = loss_of(logits, input);
  loss.backward(input.dloss);
  return {loss.detach(), logits.grad(), loss.grad_fn()->name()};
}

// Compares with the float64 results. The loss of a confident row and the gradient at its target are close to zero by
// cancellation, hence the absolute terms.
void expect_near_float64(const Results& actual, const Input& input) {
  const Results expected = run(input.in_float64());
  const auto distance = [](const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kDouble) - b).norm().item<double>();
  };
  const auto rows = static_cast<double>(input.target.size(0));
  EXPECT_LE(distance(actual.loss, expected.loss), 1e-6 * (expected.loss.norm().item<double>() + std::sqrt(rows)));
  EXPECT_LE(distance(actual.dlogits, expected.dlogits),
            rounding_of(input.logits.scalar_type()) * expected.dlogits.norm().item<double>() +
                1e-6 * input.dloss.norm().item<double>());
}

void expect_same_bits(const Results& a, const Results& b) {
  EXPECT_TRUE(at::equal(a.loss, b.loss));
  EXPECT_TRUE(at::equal(a.dlogits, b.dlogits));
}

TEST(CrossEntropy, UsesLibTorchsOperatorsOnTheCpu) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const double smoothing : {0.0, 0.1}) {
      const Input input = random_input(40, 7, type, at::kCPU, smoothing);
      const at::Tensor logits = type == at::kDouble ? input.logits : input.logits.to(at::kFloat);
      const at::Tensor loss = loss_of(input.logits, input);
      EXPECT_TRUE(at::equal(
          loss, at::cross_entropy_loss(logits, input.target, /*weight=*/{}, at::Reduction::None, ignored, smoothing)));
    }
  }
}

TEST(CrossEntropy, GradientIsThatOfTheDefinition) {
  at::manual_seed(1);
  const Input input = random_input(40, 7, at::kDouble, at::kCPU, /*label_smoothing=*/0.2);
  const Results actual = run({input.logits, input.target, input.dloss.to(at::kDouble), input.label_smoothing});
  const at::Tensor counts = input.target.ne(ignored).to(at::kDouble);
  const at::Tensor is_target = at::zeros_like(input.logits).scatter_(1, input.target.clamp_min(0).unsqueeze(1), 1);
  const at::Tensor shares = is_target * 0.8 + 0.2 / 7;
  const at::Tensor loss = -(shares * input.logits.log_softmax(1)).sum(1) * counts;
  const at::Tensor dlogits = (input.logits.softmax(1) - shares) * (input.dloss * counts).unsqueeze(1);
  expect_close(actual.loss, loss, 1e-12, "loss");
  expect_close(actual.dlogits, dlogits, 1e-12, "dlogits");
}

class CrossEntropyOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(CrossEntropyOnAGpu, MatchesFloat64UpToRounding) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> shapes = {
      {1, 1},     {9, 1},    {1, 2},    {300, 3},    {33, 10},    {256, 1000}, {17, 1023}, {17, 1024},
      {17, 1025}, {7, 2049}, {5, 8191}, {64, 50257}, {64, 50304}, {3, 131073}, {70000, 11}};
  for (const auto& [rows, classes] : shapes) {
    for (const double smoothing : {0.0, 0.1}) {
      SCOPED_TRACE(fmt::format("{} × {}, smoothing {}", rows, classes, smoothing));
      const Input input = random_input(rows, classes, GetParam(), at::kCUDA, smoothing);
      const Results actual = run(input);
      EXPECT_THAT(actual.node, HasSubstr("CrossEntropy"));
      EXPECT_EQ(actual.loss.scalar_type(), at::kFloat);
      EXPECT_EQ(actual.dlogits.scalar_type(), GetParam());
      expect_near_float64(actual, input);
    }
  }
}

TEST_P(CrossEntropyOnAGpu, ReturnsTheSameBitsTwice) {
  for (const std::int64_t classes : {10, 50257}) {
    const Input input = random_input(512, classes, GetParam(), at::kCUDA);
    expect_same_bits(run(input), run(input));
  }
}

TEST_P(CrossEntropyOnAGpu, IgnoresAllRowsOrNone) {
  Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  input.target.clamp_min_(0);
  expect_near_float64(run(input), input);
  input.target.fill_(ignored);
  input.logits.fill_(NAN);  // not read
  const Results actual = run(input);
  EXPECT_EQ(actual.loss.count_nonzero().item<std::int64_t>(), 0);
  EXPECT_EQ(actual.dlogits.count_nonzero().item<std::int64_t>(), 0);
}

TEST_P(CrossEntropyOnAGpu, AcceptsTheGradientOfASum) {
  Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  input.dloss = at::full({}, 0.25, input.dloss.options());
  const at::Tensor logits = input.logits.detach().requires_grad_();
  loss_of(logits, input).sum().backward(input.dloss);
  input.dloss = input.dloss.expand({64}).contiguous();
  EXPECT_TRUE(at::equal(logits.grad(), run(input).dlogits));
}

TEST_P(CrossEntropyOnAGpu, ReturnsTheGradientOfPaddedLogitsWithoutACopy) {
  for (const std::int64_t classes : {10, 5003}) {
    const Input input = random_input(66, classes, GetParam(), at::kCUDA);
    const std::int64_t width = classes + 61;
    const at::Tensor leaf = at::full({6, 11, width}, NAN, input.logits.options());  // padding is not read
    leaf.narrow(-1, 0, classes).copy_(input.logits.view({6, 11, classes}));
    leaf.requires_grad_();
    const at::Tensor matrix = leaf.clone();
    const at::Tensor loss = loss_of(matrix.narrow(-1, 0, classes).reshape({-1, classes}), input);
    loss.backward(input.dloss);
    const at::Tensor dmatrix = leaf.grad().view({66, width});
    expect_near_float64({loss.detach(), dmatrix.narrow(1, 0, classes), ""}, input);
    EXPECT_EQ(dmatrix.narrow(1, classes, 61).count_nonzero().item<std::int64_t>(), 0);
    // Next are the reshape to a matrix and the clone. There is no slice, whose backward would copy the gradient.
    const auto view = loss.grad_fn()->next_edge(0).function;
    EXPECT_THAT(view->name(), HasSubstr("View"));
    EXPECT_THAT(view->next_edge(0).function->name(), HasSubstr("Clone"));
  }
}

TEST_P(CrossEntropyOnAGpu, AcceptsNonContiguousInput) {
  const Input input = random_input(37, 1543, GetParam(), at::kCUDA);
  const at::Tensor& logits = input.logits;
  const at::Tensor targets = at::stack({input.target, input.target}, 1).select(1, 0);
  const at::Tensor dloss = at::stack({input.dloss, input.dloss}, 1).select(1, 0);
  const auto memory = [&](at::IntArrayRef sizes) { return at::full(sizes, NAN, logits.options()); };
  for (const at::Tensor& laid_out : {
           memory({1543, 37}).t(),
           memory({37, 2, 1543}).select(1, 1),
           memory({37, 1600}).narrow(1, 8, 1543),
           memory({37, 1601}).narrow(1, 1, 1543),
           memory({37 * 1543 + 1}).slice(0, 1).view({37, 1543}),
           memory({37, 1543, 2}).select(2, 1),
       }) {
    laid_out.copy_(logits);
    expect_near_float64(run({laid_out, targets, dloss}), input);
  }
  const Input same_row{logits[0].expand({37, 1543}), input.target, input.dloss};
  expect_near_float64(run(same_row), same_row);
}

TEST_P(CrossEntropyOnAGpu, AddsTheGradientsOfTwoUses) {
  const Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  const at::Tensor logits = input.logits.detach().requires_grad_();
  const at::Tensor loss = loss_of(logits, input);
  loss.backward(input.dloss, /*retain_graph=*/true);
  const at::Tensor once = logits.grad().clone();
  loss.backward(input.dloss);
  EXPECT_TRUE(at::equal(logits.grad(), once + once));
  const at::Tensor other = input.logits.detach().requires_grad_();
  (loss_of(other, input) + loss_of(other, input)).backward(input.dloss);
  EXPECT_TRUE(at::equal(other.grad(), once + once));
  EXPECT_TRUE(at::equal(other, input.logits));
}

TEST_P(CrossEntropyOnAGpu, NeedsNoGradientAndNoAutocast) {
  const Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  const Results expected = run(input);
  {
    const at::NoGradGuard no_grad;
    const at::Tensor loss = loss_of(input.logits.detach().requires_grad_(), input);
    EXPECT_FALSE(loss.requires_grad());
    EXPECT_TRUE(at::equal(loss, expected.loss));
  }
  const Autocast autocast(precision_of(GetParam()), at::kCUDA);
  expect_same_bits(run(input), expected);
}

TEST_P(CrossEntropyOnAGpu, IsAccurateForLargeAndInfiniteLogits) {
  Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  input.logits = input.logits * 100 + 300;
  input.logits[0] = -INFINITY;
  input.logits[0][17] = 2;
  input.target[0] = 17;
  input.logits[1][2] = -INFINITY;
  input.target[1] = 3;
  expect_near_float64(run(input), input);
}

TEST_P(CrossEntropyOnAGpu, KeepsNaNInItsRow) {
  for (const float bad : {static_cast<float>(NAN), static_cast<float>(INFINITY)}) {
    Input input = random_input(64, 5003, GetParam(), at::kCUDA);
    input.target.clamp_min_(0);
    input.logits[3][4001] = bad;
    const Results actual = run(input);
    EXPECT_TRUE(actual.loss[3].isnan().item<bool>());
    EXPECT_EQ(actual.loss.isnan().sum().item<std::int64_t>(), 1);
    EXPECT_TRUE(actual.dlogits[3].isnan().any().item<bool>());
    EXPECT_EQ(actual.dlogits.isnan().any(1).sum().item<std::int64_t>(), 1);
  }
}

TEST_P(CrossEntropyOnAGpu, LossIsNaNForATargetThatIsNoClass) {
  Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  input.target.clamp_min_(0);
  input.target[3] = 5003;
  input.target[4] = -2;
  const at::Tensor loss = run(input).loss;
  EXPECT_TRUE(loss[3].isnan().item<bool>());
  EXPECT_TRUE(loss[4].isnan().item<bool>());
  EXPECT_EQ(loss.isnan().sum().item<std::int64_t>(), 2);
}

TEST_P(CrossEntropyOnAGpu, HasTheSameBitsInACudaGraph) {
  const Input input = random_input(64, 5003, GetParam(), at::kCUDA);
  const Input other = random_input(64, 5003, GetParam(), at::kCUDA);
  const Input captured{input.logits.clone(), input.target.clone(), input.dloss.clone()};
  run(input);
  Results results;
  const auto graph = capture_cuda_graph(input.logits.device(), [&] { results = run(captured); });
  for (const Input& one : {input, other}) {
    captured.logits.copy_(one.logits);
    captured.target.copy_(one.target);
    captured.dloss.copy_(one.dloss);
    graph->replay();
    expect_same_bits(results, run(one));
  }
}

TEST_P(CrossEntropyOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const Input input = random_input(64, 53, at::kFloat, at::kCUDA).in_float64();
  EXPECT_THAT(run(input).node, Not(HasSubstr("CrossEntropy")));
  const at::Tensor shares = input.logits.softmax(1);  // a target of class probabilities
  EXPECT_TRUE(at::equal(cross_entropy(input.logits.to(at::kFloat), shares.to(at::kFloat), ignored),
                        at::cross_entropy_loss(input.logits.to(at::kFloat), shares.to(at::kFloat), /*weight=*/{},
                                               at::Reduction::None, ignored)));
}

TEST_P(CrossEntropyOnAGpu, HasNoSecondDerivative) {
  const Input input = random_input(5, 53, GetParam(), at::kCUDA);
  const at::Tensor logits = input.logits.detach().requires_grad_();
  const at::Tensor loss = loss_of(logits, input);
  EXPECT_THAT(error_of<c10::Error>([&] {
                torch::autograd::grad({loss}, {logits}, {input.dloss}, /*retain_graph=*/true, /*create_graph=*/true);
              }),
              HasSubstr("no second derivative"));
}

INSTANTIATE_TEST_SUITE_P(CrossEntropy, CrossEntropyOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
