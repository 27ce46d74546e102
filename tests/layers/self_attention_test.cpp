#include "layers/self_attention.h"

#include <cmath>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
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
  at::Tensor x, weight, bias, dy;
  SelfAttentionOptions options;
};

// Rounded to `type`, so that autocast changes no operand. Queries, keys and values are of order 1.
Input random_input(std::int64_t samples, std::int64_t tokens, std::int64_t heads, std::int64_t head_width,
                   at::ScalarType type, at::Device device) {
  const std::int64_t width = heads * head_width;
  const auto values = [&](at::IntArrayRef shape, double scale) {
    return (at::randn(shape) * scale).to(type).to(at::kFloat).to(device);
  };
  const double scale = 1 / std::sqrt(static_cast<double>(width));
  return {.x = values({samples, tokens, width}, 1),
          .weight = values({3 * width, width}, scale),
          .bias = values({3 * width}, 1),
          .dy = values({samples, tokens, width}, 1).to(type),
          .options = {.heads = heads}};
}

// The results of one forward and backward pass.
struct Results {
  at::Tensor y, dx, dweight, dbias;
  std::string node;  // the autograd node that computed the gradients
};

Results run(const Input& input) {
  const at::Tensor x = input.x.detach().requires_grad_();
  const at::Tensor weight = input.weight.detach().requires_grad_();
  const at::Tensor bias = input.bias.detach().requires_grad_();
  const at::Tensor y = [&] {
    const Autocast autocast(precision_of(input.dy.scalar_type()), x.device().type());
    return self_attention(x, weight, bias, input.options);
  }();
  y.backward(input.dy);
  return {y.detach(), x.grad(), weight.grad(), bias.grad(), y.grad_fn()->name()};
}

// The definition, in float64.
Results expected_of(const Input& input) {
  const at::Tensor x = input.x.to(at::kDouble).requires_grad_();
  const at::Tensor weight = input.weight.to(at::kDouble).requires_grad_();
  const at::Tensor bias = input.bias.to(at::kDouble).requires_grad_();
  const std::int64_t tokens = x.size(1);
  const auto qkv =
      at::linear(x, weight, bias).view({x.size(0), tokens, 3, input.options.heads, -1}).permute({2, 0, 3, 1, 4});
  at::Tensor scores = at::matmul(qkv[0], qkv[1].transpose(-1, -2)) / std::sqrt(static_cast<double>(qkv.size(4)));
  if (input.options.causal) {
    scores = scores.masked_fill(at::ones({tokens, tokens}, x.options().dtype(at::kBool)).triu(1), -INFINITY);
  }
  const at::Tensor y = at::matmul(at::softmax(scores, -1), qkv[2]).transpose(1, 2).flatten(2);
  y.backward(input.dy.to(at::kDouble));
  return {y.detach(), x.grad(), weight.grad(), bias.grad(), ""};
}

void expect_near(const Results& actual, const Results& expected, double tolerance) {
  expect_close(actual.y, expected.y, tolerance, "y");
  expect_close(actual.dx, expected.dx, tolerance, "dx");
  expect_close(actual.dweight, expected.dweight, tolerance, "dweight");
  expect_close(actual.dbias, expected.dbias, tolerance, "dbias");
}

void expect_same_bits(const Results& a, const Results& b) {
  EXPECT_TRUE(at::equal(a.y, b.y));
  EXPECT_TRUE(at::equal(a.dx, b.dx));
  EXPECT_TRUE(at::equal(a.dweight, b.dweight));
  EXPECT_TRUE(at::equal(a.dbias, b.dbias));
}

TEST(SelfAttention, MatchesItsDefinitionOnTheCpu) {
  at::manual_seed(1);
  Input input = random_input(3, 5, 2, 6, at::kFloat, at::kCPU);
  for (const bool causal : {false, true}) {
    input.options.causal = causal;
    expect_near(run(input), expected_of(input), rounding_of(at::kFloat));
  }
}

TEST(SelfAttention, DropsWeightsOnTheCpu) {
  at::manual_seed(1);
  Input input = random_input(3, 5, 2, 6, at::kFloat, at::kCPU);
  const at::Tensor whole = run(input).y;
  input.options.dropout = 0.5;
  EXPECT_FALSE(at::equal(run(input).y, whole));
}

class SelfAttentionOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(SelfAttentionOnAGpu, MatchesItsDefinitionUpToRounding) {
  // Every number of tiles, full and not; one token, one sample, one head.
  const std::vector<std::vector<std::int64_t>> shapes = {
      {1, 1, 1, 32},  {2, 1, 3, 64},  {3, 16, 2, 32}, {5, 17, 6, 64}, {7, 33, 3, 64}, {2, 48, 3, 32},  {3, 50, 3, 64},
      {3, 63, 2, 32}, {3, 64, 2, 64}, {4, 65, 3, 64}, {4, 80, 3, 32}, {2, 80, 2, 64}, {600, 17, 3, 64}};
  for (const auto& shape : shapes) {
    Input input = random_input(shape[0], shape[1], shape[2], shape[3], GetParam(), at::kCUDA);
    for (const bool causal : {false, true}) {
      SCOPED_TRACE(fmt::format("{}{}", shape, causal ? " causal" : ""));
      input.options.causal = causal;
      const Results actual = run(input);
      EXPECT_THAT(actual.node, HasSubstr("ShortSelfAttention"));
      EXPECT_EQ(actual.y.scalar_type(), GetParam());
      // Queries, keys, values, weights and their gradients are each rounded.
      expect_near(actual, expected_of(input), 2 * rounding_of(GetParam()));
    }
  }
}

TEST_P(SelfAttentionOnAGpu, IsAsExactAsLibTorchsKernels) {
  Input input = random_input(64, 65, 3, 64, GetParam(), at::kCUDA);
  const Results expected = expected_of(input);
  const Results ours = run(input);
  at::Tensor doubled = at::cat({input.x, input.x}, 1);  // 130 tokens; each attends as among 65
  Input longer = input;
  longer.x = doubled;
  longer.dy = at::cat({input.dy, input.dy}, 1);
  const Results theirs = run(longer);
  EXPECT_THAT(theirs.node, Not(HasSubstr("ShortSelfAttention")));
  const auto error = [&](const at::Tensor& y) {
    return (y.to(at::kDouble) - expected.y).norm().item<double>() / expected.y.norm().item<double>();
  };
  EXPECT_LE(error(ours.y), 1.1 * error(theirs.y.narrow(1, 0, 65)));
}

TEST_P(SelfAttentionOnAGpu, ReturnsTheSameBitsTwiceAndWithoutGradients) {
  const Input input = random_input(512, 17, 3, 64, GetParam(), at::kCUDA);
  const Results expected = run(input);
  expect_same_bits(run(input), expected);
  const at::NoGradGuard no_grad;
  const Autocast autocast(precision_of(GetParam()), at::kCUDA);
  EXPECT_TRUE(at::equal(self_attention(input.x, input.weight, input.bias, input.options), expected.y));
}

TEST_P(SelfAttentionOnAGpu, AcceptsGradientsInAnotherLayout) {
  Input input = random_input(13, 17, 3, 64, GetParam(), at::kCUDA);
  const Results expected = run(input);
  input.dy = input.dy.transpose(0, 1).contiguous().transpose(0, 1);
  expect_same_bits(run(input), expected);
  input.dy = at::cat({input.dy, input.dy}, 2).narrow(2, 0, input.dy.size(2));
  expect_same_bits(run(input), expected);
}

TEST_P(SelfAttentionOnAGpu, KeepsSamplesApart) {
  Input input = random_input(4, 17, 3, 64, GetParam(), at::kCUDA);
  const Results clean = run(input);
  input.x[1][5][7] = NAN;
  const Results spoilt = run(input);
  EXPECT_TRUE(spoilt.y[1].isnan().any().item<bool>());
  for (const std::int64_t sample : {0, 2, 3}) {
    EXPECT_TRUE(at::equal(spoilt.y[sample], clean.y[sample]));
    EXPECT_TRUE(at::equal(spoilt.dx[sample], clean.dx[sample]));
  }
}

TEST_P(SelfAttentionOnAGpu, AcceptsLargeScores) {
  Input input = random_input(3, 17, 2, 64, GetParam(), at::kCUDA);
  input.x = input.x * 32;
  const Results actual = run(input);
  EXPECT_FALSE(actual.y.isnan().any().item<bool>());
  EXPECT_FALSE(actual.dx.isnan().any().item<bool>());
}

TEST_P(SelfAttentionOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const Input longer = random_input(3, 81, 2, 64, GetParam(), at::kCUDA);
  const Input narrow = random_input(3, 17, 2, 16, GetParam(), at::kCUDA);
  Input float32 = random_input(3, 17, 2, 64, GetParam(), at::kCUDA);
  float32.dy = float32.dy.to(at::kFloat);
  for (const Input& input : {longer, narrow, float32}) {
    const Results actual = run(input);
    EXPECT_THAT(actual.node, Not(HasSubstr("ShortSelfAttention")));
    expect_near(actual, expected_of(input), 3 * rounding_of(GetParam()));
  }
  Input dropping = random_input(3, 17, 2, 64, GetParam(), at::kCUDA);
  dropping.options.dropout = 0.5;
  EXPECT_THAT(run(dropping).node, Not(HasSubstr("ShortSelfAttention")));
}

TEST_P(SelfAttentionOnAGpu, HasNoSecondDerivative) {
  const Input input = random_input(3, 5, 2, 32, GetParam(), at::kCUDA);
  const at::Tensor x = input.x.detach().requires_grad_();
  const Autocast autocast(precision_of(GetParam()), at::kCUDA);
  const at::Tensor y = self_attention(x, input.weight, input.bias, input.options);
  EXPECT_THAT(error_of<c10::Error>(
                  [&] { torch::autograd::grad({y}, {x}, {input.dy}, /*retain_graph=*/true, /*create_graph=*/true); }),
              HasSubstr("no second derivative"));
}

INSTANTIATE_TEST_SUITE_P(SelfAttention, SelfAttentionOnAGpu, testing::Values(at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
