// Compares with LibTorch's operators: on the CPU bit for bit, on a GPU with the same operators in float64.

#include "layers/layer_norm.h"

#include <cmath>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "support/error_of.h"
#include "support/expect_close.h"
#include "support/precision_of.h"
#include "training/precision.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// The results of one forward and backward pass.
struct Results {
  at::Tensor sum, normalized, dx, dproduct, dbranch_bias, dweight, dbias;
  std::string node;  // the autograd node that computed the gradients
};

struct Input {
  at::Tensor x, product, branch_bias, dsum, dnormalized, weight, bias;
  at::ScalarType type;  // of product and dnormalized

  Input in_float64() const {
    const auto converted = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(at::kDouble) : tensor; };
    return {converted(x),           converted(product), converted(branch_bias), converted(dsum),
            converted(dnormalized), converted(weight),  converted(bias),        at::kDouble};
  }

  Input without_branch() const {
    Input input = *this;
    input.product.reset();
    input.branch_bias.reset();
    return input;
  }
};

Input random_input(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  const auto values = [&](at::IntArrayRef shape) { return at::randn(shape).to(device); };
  const std::int64_t width = sizes.back();
  return {.x = values(sizes) * 3 + 1,
          .product = values(sizes).to(type),
          .branch_bias = values({width}),
          .dsum = values(sizes),
          .dnormalized = values(sizes).to(type),
          .weight = at::rand({width}).to(device) + 0.5,
          .bias = values({width}),
          .type = type};
}

LayerNorm layer_of(const Input& input) {
  LayerNorm layer(torch::nn::LayerNormOptions({input.x.size(-1)}).eps(1e-6));
  layer->to(input.x.device());
  layer->to(input.weight.scalar_type());
  const at::NoGradGuard no_grad;
  layer->weight.copy_(input.weight);
  layer->bias.copy_(input.bias);
  return layer;
}

// Under autocast for 16-bit types, as in a training step.
AddNorm add(LayerNorm& layer, const at::Tensor& x, const PendingAdd& pending, at::ScalarType type) {
  const Autocast autocast(precision_of(type), x.device().type());
  return layer->add_norm(x, pending);
}

Results run(const Input& input, bool inputs_require_grad = true) {
  LayerNorm layer = layer_of(input);
  const auto leaf = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.detach().requires_grad_(inputs_require_grad) : tensor;
  };
  const at::Tensor x = leaf(input.x);
  const PendingAdd pending{.product = leaf(input.product), .bias = leaf(input.branch_bias)};
  const auto [sum, normalized] = add(layer, x, pending, input.type);
  const std::string node = normalized.grad_fn()->name();
  std::vector<at::Tensor> results, gradients;
  if (input.dsum.defined() && sum.requires_grad()) {
    results.push_back(sum);
    gradients.push_back(input.dsum);
  }
  if (input.dnormalized.defined()) {
    results.push_back(normalized);
    gradients.push_back(input.dnormalized.to(normalized.scalar_type()));
  }
  torch::autograd::backward(results, gradients);
  const auto gradient = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.grad() : tensor; };
  return {.sum = sum.detach(),
          .normalized = normalized.detach(),
          .dx = x.grad(),
          .dproduct = gradient(pending.product),
          .dbranch_bias = gradient(pending.bias),
          .dweight = layer->weight.grad(),
          .dbias = layer->bias.grad(),
          .node = node};
}

// tolerance: for tensors of the 16-bit type. All other values are float32.
void expect_near(const Results& actual, const Results& expected, double tolerance) {
  expect_close(actual.sum, expected.sum, 1e-6, "sum");
  expect_close(actual.normalized, expected.normalized, tolerance, "normalized");
  expect_close(actual.dx, expected.dx, 2e-6, "dx");
  expect_close(actual.dproduct, expected.dproduct, tolerance, "dproduct");
  expect_close(actual.dbranch_bias, expected.dbranch_bias, 1e-5, "dbranch_bias");
  expect_close(actual.dweight, expected.dweight, 1e-5, "dweight");
  expect_close(actual.dbias, expected.dbias, 1e-5, "dbias");
}

void expect_same_bits(const Results& a, const Results& b) {
  for (const auto part : {&Results::sum, &Results::normalized, &Results::dx, &Results::dproduct, &Results::dbranch_bias,
                          &Results::dweight, &Results::dbias}) {
    ASSERT_EQ((a.*part).defined(), (b.*part).defined());
    EXPECT_TRUE(!(a.*part).defined() || at::equal(a.*part, b.*part));
  }
}

TEST(LayerNorm, HasLibTorchsParameterNames) {
  LayerNorm layer(torch::nn::LayerNormOptions({8}));
  EXPECT_THAT(layer->named_parameters().keys(), ElementsAre("weight", "bias"));
  EXPECT_TRUE(layer->as<torch::nn::LayerNorm>());
}

TEST(LayerNorm, UsesLibTorchsOperatorsOnTheCpu) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const Input input = random_input({3, 5, 8}, type, at::kCPU);
    LayerNorm layer = layer_of(input);
    const auto [sum, normalized] = add(layer, input.x, {input.product, input.branch_bias}, type);
    EXPECT_TRUE(at::equal(sum, (input.x + input.product).add_(input.branch_bias)));
    EXPECT_TRUE(at::equal(normalized, at::layer_norm(sum, {8}, input.weight, input.bias, 1e-6)));
    const auto [x, normalized_x] = add(layer, input.x, {}, type);
    EXPECT_TRUE(x.is_same(input.x));
    EXPECT_TRUE(at::equal(normalized_x, at::layer_norm(x, {8}, input.weight, input.bias, 1e-6)));
  }
}

TEST(LayerNorm, HasTheGradientsOfTheOperatorsOnTheCpu) {
  at::manual_seed(1);
  const Input input = random_input({3, 5, 12}, at::kFloat, at::kCPU);
  for (const Input& one : {input, input.without_branch()}) {
    const Results actual = run(one);
    EXPECT_THAT(actual.node, HasSubstr("NativeLayerNorm"));
    expect_near(actual, run(one.in_float64()), rounding_of(at::kFloat));
  }
}

class LayerNormOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(LayerNormOnAGpu, MatchesFloat64UpToRounding) {
  const std::vector<std::vector<std::int64_t>> shapes = {{384},          {1, 1, 4},   {2, 3, 100}, {5, 7, 192},
                                                         {3, 17, 384},   {9, 5, 516}, {33, 768},   {7, 1, 1024},
                                                         {512, 17, 384}, {2111, 512}};
  for (const auto& shape : shapes) {
    const Input input = random_input(shape, GetParam(), at::kCUDA);
    for (const Input& one : {input, input.without_branch()}) {
      SCOPED_TRACE(fmt::format("{}, {} branch", shape, one.product.defined() ? "a" : "no"));
      const Results actual = run(one);
      EXPECT_THAT(actual.node, HasSubstr("FusedLayerNorm"));
      EXPECT_EQ(actual.sum.scalar_type(), at::kFloat);
      EXPECT_EQ(actual.normalized.scalar_type(), GetParam());
      expect_near(actual, run(one.in_float64()), rounding_of(GetParam()));
    }
  }
}

TEST_P(LayerNormOnAGpu, ReturnsTheSameBitsTwice) {
  const Input input = random_input({512, 17, 384}, GetParam(), at::kCUDA);
  for (const Input& one : {input, input.without_branch()}) expect_same_bits(run(one), run(one));
}

TEST_P(LayerNormOnAGpu, AcceptsTheGradientOfOneResultOnly) {
  const Input input = random_input({5, 7, 192}, GetParam(), at::kCUDA);
  for (Input one : {input, input.without_branch()}) {
    one.dsum.reset();
    expect_near(run(one), run(one.in_float64()), rounding_of(GetParam()));
    one.dsum = input.dsum;
    one.dnormalized.reset();
    expect_near(run(one), run(one.in_float64()), rounding_of(GetParam()));
  }
}

// The memory around the rows is NaN, which would propagate to the results.
TEST_P(LayerNormOnAGpu, ReadsNoMemoryOutsideItsRows) {
  const Input input = random_input({13, 5, 100}, GetParam(), at::kCUDA);
  Input within = input;
  for (const auto part : {&Input::x, &Input::product, &Input::dsum, &Input::dnormalized, &Input::branch_bias}) {
    const at::Tensor tensor = input.*part;
    const at::Tensor memory = at::full({tensor.numel() + 4096}, NAN, tensor.options());
    within.*part = memory.slice(0, 2048, 2048 + tensor.numel()).view(tensor.sizes()).copy_(tensor);
  }
  expect_same_bits(run(within), run(input));
}

TEST_P(LayerNormOnAGpu, AcceptsNonContiguousInput) {
  const Input input = random_input({13, 5, 100}, GetParam(), at::kCUDA);
  const auto transposed = [](const at::Tensor& t) { return t.transpose(0, 1).contiguous().transpose(0, 1); };
  const auto shifted = [](const at::Tensor& t) {
    return at::empty({t.numel() + 1}, t.options()).slice(0, 1).view(t.sizes()).copy_(t);
  };
  const auto strided = [](const at::Tensor& t) { return at::stack({t, t}, 1).select(1, 1); };
  const Results expected = run(input);
  const auto expect_same_bits_when = [&](const auto& laid_out) {
    Input other = input;
    for (const auto part : {&Input::x, &Input::product, &Input::dsum, &Input::dnormalized}) {
      other.*part = laid_out(input.*part);
    }
    expect_same_bits(run(other), expected);
  };
  expect_same_bits_when(transposed);
  expect_same_bits_when(shifted);
  expect_same_bits_when(strided);
  Input expanded = input;
  expanded.dsum = input.dsum.mean(0, /*keepdim=*/true).expand(input.dsum.sizes());
  expect_near(run(expanded), run(expanded.in_float64()), rounding_of(GetParam()));
}

TEST_P(LayerNormOnAGpu, KeepsNaNInItsRow) {
  Input input = random_input({3, 5, 192}, GetParam(), at::kCUDA);
  input.x[1][2][3] = NAN;
  const Results actual = run(input);
  for (const at::Tensor& tensor : {actual.normalized, actual.dx, actual.dproduct}) {
    EXPECT_TRUE(tensor[1][2].isnan().all().item<bool>());
    EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), 192);
  }
  EXPECT_EQ(actual.sum.isnan().sum().item<std::int64_t>(), 1);
}

TEST_P(LayerNormOnAGpu, IsAccurateWithASmallVarianceAndALargeMean) {
  Input input = random_input({64, 384}, GetParam(), at::kCUDA);
  input.x = 1000 + input.x / 10;
  input.product.fill_(0.5);
  input.branch_bias.fill_(0.25);
  // float32 holds a mean of 1000 to 3e-5, in units of the deviation 0.3 to 1e-4.
  expect_close(run(input).normalized, run(input.in_float64()).normalized, rounding_of(GetParam()) + 1e-3, "normalized");
}

TEST_P(LayerNormOnAGpu, SkipsGradientsThatAreNotNeeded) {
  const Input input = random_input({5, 7, 192}, GetParam(), at::kCUDA);
  for (Input one : {input, input.without_branch()}) {
    one.dsum.reset();
    const Results all = run(one);
    const Results actual = run(one, /*inputs_require_grad=*/false);
    EXPECT_FALSE(actual.dx.defined());
    EXPECT_FALSE(actual.dproduct.defined());
    EXPECT_FALSE(actual.dbranch_bias.defined());
    EXPECT_TRUE(at::equal(actual.dweight, all.dweight));
    EXPECT_TRUE(at::equal(actual.dbias, all.dbias));
    const at::NoGradGuard no_grad;
    LayerNorm layer = layer_of(one);
    layer->eval();
    const auto [sum, normalized] = add(layer, one.x, {one.product, one.branch_bias}, GetParam());
    EXPECT_FALSE(normalized.requires_grad());
    EXPECT_TRUE(at::equal(sum, all.sum));
    EXPECT_TRUE(at::equal(normalized, all.normalized));
  }
}

TEST_P(LayerNormOnAGpu, HasNoSecondDerivative) {
  const Input input = random_input({5, 192}, GetParam(), at::kCUDA);
  LayerNorm layer = layer_of(input);
  const at::Tensor x = input.x.detach().requires_grad_();
  const at::Tensor y = add(layer, x, {}, GetParam()).normalized;
  EXPECT_THAT(error_of<c10::Error>([&] {
                torch::autograd::grad({y}, {x}, {input.dnormalized}, /*retain_graph=*/true, /*create_graph=*/true);
              }),
              HasSubstr("no second derivative"));
}

TEST_P(LayerNormOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const auto type = GetParam();
  const Input narrow = random_input({3, 5, 6}, type, at::kCUDA);
  const Input wide = random_input({3, 1028}, type, at::kCUDA);
  Input other_branch = random_input({3, 5, 192}, type, at::kCUDA);
  other_branch.product = other_branch.product.to(type == at::kFloat ? at::kHalf : at::kFloat);
  Input half_stream = random_input({3, 5, 192}, type, at::kCUDA);
  half_stream.x = half_stream.x.to(at::kHalf);
  for (const Input& input : {narrow, wide, other_branch, half_stream}) {
    LayerNorm layer = layer_of(input);
    const auto [sum, normalized] = add(layer, input.x, {input.product, input.branch_bias}, type);
    EXPECT_THAT(normalized.grad_fn()->name(), Not(HasSubstr("FusedLayerNorm")));
    EXPECT_TRUE(at::equal(sum, (input.x + input.product).add_(input.branch_bias)));
  }
  const Input float64 = random_input({3, 5, 192}, type, at::kCUDA).in_float64();
  EXPECT_THAT(run(float64).node, Not(HasSubstr("FusedLayerNorm")));
}

TEST_P(LayerNormOnAGpu, RefusesMismatchedShapesWithLibTorchsMessages) {
  const Input input = random_input({3, 5, 192}, GetParam(), at::kCUDA);
  LayerNorm layer = layer_of(input);
  EXPECT_THAT(error_of<c10::Error>([&] { layer->add_norm(input.x.slice(-1, 0, 96), {}); }),
              HasSubstr("normalized_shape"));
  EXPECT_THAT(
      error_of<c10::Error>([&] { layer->add_norm(input.x, {input.product.slice(-1, 0, 96), input.branch_bias}); }),
      HasSubstr("must match"));
}

INSTANTIATE_TEST_SUITE_P(LayerNorm, LayerNormOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
