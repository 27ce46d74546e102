#include "layers/attention_heads.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "support/error_of.h"
#include "support/expect_close.h"
#include "support/precision_of.h"
#include "training/precision.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Input {
  at::Tensor x, weight, bias;
  std::int64_t heads;
  std::vector<at::Tensor> gradients;  // of queries, keys and values

  Input in_float64() const {
    Input input{x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), heads, {}};
    for (const at::Tensor& gradient : gradients) input.gradients.push_back(gradient.to(at::kDouble));
    return input;
  }
};

// Integer values, so that products and sums are exact in every order and precision.
Input random_input(at::IntArrayRef sizes, std::int64_t heads, at::ScalarType type, at::Device device) {
  const std::int64_t width = sizes[2];
  const auto values = [&](at::IntArrayRef shape) { return at::randn(shape).round().to(device); };
  Input input{values(sizes), values({3 * width, width}), values({3 * width}), heads, {}};
  for (int i = 0; i < 3; ++i) {
    // The layout that LibTorch's attention returns.
    const at::Tensor token_by_token = values({sizes[0], sizes[1], heads, width / heads}).to(type);
    input.gradients.push_back(token_by_token.transpose(1, 2));
  }
  return input;
}

// The results of one forward and backward pass.
struct Results {
  std::vector<at::Tensor> parts;
  at::Tensor dx, dweight, dbias;
  std::string node;  // the autograd node that computed the gradients
};

Results run(const Input& input) {
  const at::Tensor x = input.x.detach().requires_grad_();
  const at::Tensor weight = input.weight.detach().requires_grad_();
  const at::Tensor bias = input.bias.detach().requires_grad_();
  const auto type = input.gradients[0].scalar_type();
  const Precision precision = precision_of(type);
  const auto [queries, keys, values] = [&] {
    const Autocast autocast(precision, x.device().type());
    return attention_heads(x, weight, bias, input.heads);
  }();
  torch::autograd::backward({queries, keys, values}, input.gradients);
  return {{queries.detach(), keys.detach(), values.detach()},
          x.grad(),
          weight.grad(),
          bias.grad(),
          queries.grad_fn()->name()};
}

// The same with LibTorch's operators, all in float64.
Results expected_of(const Input& input) {
  const Input exact = input.in_float64();
  const at::Tensor x = exact.x.requires_grad_();
  const at::Tensor weight = exact.weight.requires_grad_();
  const at::Tensor bias = exact.bias.requires_grad_();
  const std::vector<at::Tensor> parts =
      at::linear(x, weight, bias).view({x.size(0), x.size(1), 3, input.heads, -1}).permute({2, 0, 3, 1, 4}).unbind(0);
  torch::autograd::backward(parts, exact.gradients);
  return {{parts[0].detach(), parts[1].detach(), parts[2].detach()}, x.grad(), weight.grad(), bias.grad(), ""};
}

void expect_near(const Results& actual, const Results& expected, double tolerance) {
  for (std::size_t i = 0; i < 3; ++i) expect_close(actual.parts[i], expected.parts[i], tolerance, "parts");
  expect_close(actual.dx, expected.dx, tolerance, "dx");
  expect_close(actual.dweight, expected.dweight, tolerance, "dweight");
  expect_close(actual.dbias, expected.dbias, 1e-6, "dbias");
}

TEST(AttentionHeads, UsesLibTorchsOperatorsOnTheCpu) {
  at::manual_seed(1);
  const Input input = random_input({3, 5, 12}, 2, at::kFloat, at::kCPU);
  const Results actual = run(input);
  EXPECT_THAT(actual.node, Not(HasSubstr("SplitHeads")));
  expect_near(actual, expected_of(input), rounding_of(at::kFloat));
}

class AttentionHeadsOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(AttentionHeadsOnAGpu, MatchesFloat64UpToRounding) {
  const std::vector<std::vector<std::int64_t>> shapes = {
      {1, 1, 8}, {3, 17, 192}, {5, 7, 384}, {13, 3, 104}, {512, 17, 384}};
  for (const auto& shape : shapes) {
    SCOPED_TRACE(fmt::format("{}", shape));
    const Input input = random_input(shape, 2, GetParam(), at::kCUDA);
    const Results actual = run(input);
    EXPECT_THAT(actual.node, HasSubstr("SplitHeads"));
    EXPECT_EQ(actual.parts[0].scalar_type(), GetParam());
    expect_near(actual, expected_of(input), rounding_of(GetParam()));
  }
}

TEST_P(AttentionHeadsOnAGpu, AcceptsGradientsInAnotherLayout) {
  Input input = random_input({13, 5, 192}, 3, GetParam(), at::kCUDA);
  const Results expected = run(input);
  for (at::Tensor& gradient : input.gradients) gradient = gradient.contiguous();
  const Results actual = run(input);
  EXPECT_TRUE(at::equal(actual.dx, expected.dx));
  EXPECT_TRUE(at::equal(actual.dbias, expected.dbias));
}

TEST_P(AttentionHeadsOnAGpu, ReturnsTheSameBitsWithoutGradients) {
  const Input input = random_input({13, 5, 192}, 3, GetParam(), at::kCUDA);
  const Results expected = run(input);
  const at::NoGradGuard no_grad;
  const Autocast autocast(precision_of(GetParam()), at::kCUDA);
  const auto [queries, keys, values] = attention_heads(input.x, input.weight, input.bias, 3);
  EXPECT_TRUE(at::equal(queries, expected.parts[0]));
  EXPECT_TRUE(at::equal(keys, expected.parts[1]));
  EXPECT_TRUE(at::equal(values, expected.parts[2]));
}

TEST_P(AttentionHeadsOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const Input narrow = random_input({3, 5, 12}, 3, GetParam(), at::kCUDA);
  const Results actual = run(narrow);
  EXPECT_THAT(actual.node, Not(HasSubstr("SplitHeads")));
  expect_near(actual, expected_of(narrow), rounding_of(GetParam()));
  EXPECT_THAT(run(random_input({3, 5, 192}, 3, GetParam(), at::kCUDA).in_float64()).node, Not(HasSubstr("SplitHeads")));
}

TEST_P(AttentionHeadsOnAGpu, HasNoSecondDerivative) {
  const Input input = random_input({3, 5, 192}, 3, GetParam(), at::kCUDA);
  const at::Tensor x = input.x.detach().requires_grad_();
  const at::Tensor queries = attention_heads(x, input.weight, input.bias, 3).queries;
  EXPECT_THAT(error_of<c10::Error>([&] {
                torch::autograd::grad({queries}, {x}, {at::ones_like(queries)}, /*retain_graph=*/true,
                                      /*create_graph=*/true);
              }),
              HasSubstr("no second derivative"));
}

INSTANTIATE_TEST_SUITE_P(AttentionHeads, AttentionHeadsOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
