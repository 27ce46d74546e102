// Against LibTorch's operators: the same ones on the CPU, in float64 those that a GPU's kernels are measured by.

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

// One pass forward and backward, and what it leaves.
struct Pass {
  at::Tensor sum, normalised, dx, dproduct, dbranch_bias, dweight, dbias;
  std::string node;  // that computed the gradients
};

struct Input {
  at::Tensor x, product, branch_bias, dsum, dnormalised, weight, bias;
  at::ScalarType type;  // of product and dnormalised

  Input in_float64() const {
    const auto converted = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(at::kDouble) : tensor; };
    return {converted(x),           converted(product), converted(branch_bias), converted(dsum),
            converted(dnormalised), converted(weight),  converted(bias),        at::kDouble};
  }

  Input without_branch() const {
    Input input = *this;
    input.product.reset();
    input.branch_bias.reset();
    return input;
  }
};

Input random_input(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  const auto numbers = [&](at::IntArrayRef shape) { return at::randn(shape).to(device); };
  const std::int64_t width = sizes.back();
  return {.x = numbers(sizes) * 3 + 1,
          .product = numbers(sizes).to(type),
          .branch_bias = numbers({width}),
          .dsum = numbers(sizes),
          .dnormalised = numbers(sizes).to(type),
          .weight = at::rand({width}).to(device) + 0.5,
          .bias = numbers({width}),
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

// As a training step calls it: under autocast, where one trains in half precision.
AddNorm add(LayerNorm& layer, const at::Tensor& x, const PendingAdd& pending, at::ScalarType type) {
  const Autocast autocast(precision_of(type), x.device().type());
  return layer->add_norm(x, pending);
}

Pass passed(const Input& input, bool stream_has_gradient = true) {
  LayerNorm layer = layer_of(input);
  const auto leaf = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.detach().requires_grad_(stream_has_gradient) : tensor;
  };
  const at::Tensor x = leaf(input.x);
  const PendingAdd pending{.product = leaf(input.product), .bias = leaf(input.branch_bias)};
  const auto [sum, normalised] = add(layer, x, pending, input.type);
  const std::string node = normalised.grad_fn()->name();
  std::vector<at::Tensor> results, gradients;
  if (input.dsum.defined() && sum.requires_grad()) {
    results.push_back(sum);
    gradients.push_back(input.dsum);
  }
  if (input.dnormalised.defined()) {
    results.push_back(normalised);
    gradients.push_back(input.dnormalised.to(normalised.scalar_type()));
  }
  torch::autograd::backward(results, gradients);
  const auto gradient = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.grad() : tensor; };
  return {.sum = sum.detach(),
          .normalised = normalised.detach(),
          .dx = x.grad(),
          .dproduct = gradient(pending.product),
          .dbranch_bias = gradient(pending.bias),
          .dweight = layer->weight.grad(),
          .dbias = layer->bias.grad(),
          .node = node};
}

// tolerance: of what is in half precision. The other numbers are float32.
void expect_near(const Pass& ours, const Pass& expected, double tolerance) {
  expect_close(ours.sum, expected.sum, 1e-6, "sum");
  expect_close(ours.normalised, expected.normalised, tolerance, "normalised");
  expect_close(ours.dx, expected.dx, 2e-6, "dx");
  expect_close(ours.dproduct, expected.dproduct, tolerance, "dproduct");
  expect_close(ours.dbranch_bias, expected.dbranch_bias, 1e-5, "dbranch_bias");
  expect_close(ours.dweight, expected.dweight, 1e-5, "dweight");
  expect_close(ours.dbias, expected.dbias, 1e-5, "dbias");
}

void expect_same_bits(const Pass& a, const Pass& b) {
  for (const auto part :
       {&Pass::sum, &Pass::normalised, &Pass::dx, &Pass::dproduct, &Pass::dbranch_bias, &Pass::dweight, &Pass::dbias}) {
    ASSERT_EQ((a.*part).defined(), (b.*part).defined());
    EXPECT_TRUE(!(a.*part).defined() || at::equal(a.*part, b.*part));
  }
}

TEST(LayerNorm, HasTheNamesOfLibTorchs) {
  LayerNorm layer(torch::nn::LayerNormOptions({8}));
  EXPECT_THAT(layer->named_parameters().keys(), ElementsAre("weight", "bias"));
  EXPECT_TRUE(layer->as<torch::nn::LayerNorm>());
}

TEST(LayerNorm, OnTheCpuIsLibTorchsOperators) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const Input input = random_input({3, 5, 8}, type, at::kCPU);
    LayerNorm layer = layer_of(input);
    const auto [sum, normalised] = add(layer, input.x, {input.product, input.branch_bias}, type);
    EXPECT_TRUE(at::equal(sum, (input.x + input.product).add_(input.branch_bias)));
    EXPECT_TRUE(at::equal(normalised, at::layer_norm(sum, {8}, input.weight, input.bias, 1e-6)));
    const auto [x, normalised_x] = add(layer, input.x, {}, type);
    EXPECT_TRUE(x.is_same(input.x));
    EXPECT_TRUE(at::equal(normalised_x, at::layer_norm(x, {8}, input.weight, input.bias, 1e-6)));
  }
}

TEST(LayerNorm, OnTheCpuHasTheGradientsOfTheOperators) {
  at::manual_seed(1);
  const Input input = random_input({3, 5, 12}, at::kFloat, at::kCPU);
  for (const Input& one : {input, input.without_branch()}) {
    const Pass ours = passed(one);
    EXPECT_THAT(ours.node, HasSubstr("NativeLayerNorm"));
    expect_near(ours, passed(one.in_float64()), rounding_of(at::kFloat));
  }
}

class LayerNormOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(LayerNormOnAGpu, IsTheOperatorsButForItsRounding) {
  const std::vector<std::vector<std::int64_t>> shapes = {{384},          {1, 1, 4},   {2, 3, 100}, {5, 7, 192},
                                                         {3, 17, 384},   {9, 5, 516}, {33, 768},   {7, 1, 1024},
                                                         {512, 17, 384}, {2111, 512}};
  for (const auto& shape : shapes) {
    const Input input = random_input(shape, GetParam(), at::kCUDA);
    for (const Input& one : {input, input.without_branch()}) {
      SCOPED_TRACE(fmt::format("{}, {} branch", shape, one.product.defined() ? "a" : "no"));
      const Pass ours = passed(one);
      EXPECT_THAT(ours.node, HasSubstr("FusedLayerNorm"));
      EXPECT_EQ(ours.sum.scalar_type(), at::kFloat);
      EXPECT_EQ(ours.normalised.scalar_type(), GetParam());
      expect_near(ours, passed(one.in_float64()), rounding_of(GetParam()));
    }
  }
}

TEST_P(LayerNormOnAGpu, GivesTheSameBitsTwice) {
  const Input input = random_input({512, 17, 384}, GetParam(), at::kCUDA);
  for (const Input& one : {input, input.without_branch()}) expect_same_bits(passed(one), passed(one));
}

TEST_P(LayerNormOnAGpu, TakesTheGradientOfOneResultAlone) {
  const Input input = random_input({5, 7, 192}, GetParam(), at::kCUDA);
  for (Input one : {input, input.without_branch()}) {
    one.dsum.reset();
    expect_near(passed(one), passed(one.in_float64()), rounding_of(GetParam()));
    one.dsum = input.dsum;
    one.dnormalised.reset();
    expect_near(passed(one), passed(one.in_float64()), rounding_of(GetParam()));
  }
}

// The rest of a larger memory is NaN, which no result may have seen.
TEST_P(LayerNormOnAGpu, ReadsNothingBesideItsRows) {
  const Input input = random_input({13, 5, 100}, GetParam(), at::kCUDA);
  Input within = input;
  for (const auto part : {&Input::x, &Input::product, &Input::dsum, &Input::dnormalised, &Input::branch_bias}) {
    const at::Tensor tensor = input.*part;
    const at::Tensor memory = at::full({tensor.numel() + 4096}, NAN, tensor.options());
    within.*part = memory.slice(0, 2048, 2048 + tensor.numel()).view(tensor.sizes()).copy_(tensor);
  }
  expect_same_bits(passed(within), passed(input));
}

TEST_P(LayerNormOnAGpu, TakesNumbersThatLieElsewise) {
  const Input input = random_input({13, 5, 100}, GetParam(), at::kCUDA);
  const auto transposed = [](const at::Tensor& t) { return t.transpose(0, 1).contiguous().transpose(0, 1); };
  const auto shifted = [](const at::Tensor& t) {
    return at::empty({t.numel() + 1}, t.options()).slice(0, 1).view(t.sizes()).copy_(t);
  };
  const auto apart = [](const at::Tensor& t) { return at::stack({t, t}, 1).select(1, 1); };
  const Pass expected = passed(input);
  const auto expect_all_the_same = [&](const auto& laid_out) {
    Input other = input;
    for (const auto part : {&Input::x, &Input::product, &Input::dsum, &Input::dnormalised}) {
      other.*part = laid_out(input.*part);
    }
    expect_same_bits(passed(other), expected);
  };
  expect_all_the_same(transposed);
  expect_all_the_same(shifted);
  expect_all_the_same(apart);
  Input spread = input;
  spread.dsum = input.dsum.mean(0, /*keepdim=*/true).expand(input.dsum.sizes());
  expect_near(passed(spread), passed(spread.in_float64()), rounding_of(GetParam()));
}

TEST_P(LayerNormOnAGpu, KeepsNaNInItsRow) {
  Input input = random_input({3, 5, 192}, GetParam(), at::kCUDA);
  input.x[1][2][3] = NAN;
  const Pass ours = passed(input);
  for (const at::Tensor& tensor : {ours.normalised, ours.dx, ours.dproduct}) {
    EXPECT_TRUE(tensor[1][2].isnan().all().item<bool>());
    EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), 192);
  }
  EXPECT_EQ(ours.sum.isnan().sum().item<std::int64_t>(), 1);
}

TEST_P(LayerNormOnAGpu, KeepsASmallVarianceBesideALargeMean) {
  Input input = random_input({64, 384}, GetParam(), at::kCUDA);
  input.x = 1000 + input.x / 10;
  input.product.fill_(0.5);
  input.branch_bias.fill_(0.25);
  // A mean of 1000 is a float32 number to 3e-5, a hundredth of 0.3.
  expect_close(passed(input).normalised, passed(input.in_float64()).normalised, rounding_of(GetParam()) + 1e-3,
               "normalised");
}

TEST_P(LayerNormOnAGpu, ComputesNoGradientThatNobodyAsksFor) {
  const Input input = random_input({5, 7, 192}, GetParam(), at::kCUDA);
  for (Input one : {input, input.without_branch()}) {
    one.dsum.reset();
    const Pass all = passed(one);
    const Pass ours = passed(one, /*stream_has_gradient=*/false);
    EXPECT_FALSE(ours.dx.defined());
    EXPECT_FALSE(ours.dproduct.defined());
    EXPECT_FALSE(ours.dbranch_bias.defined());
    EXPECT_TRUE(at::equal(ours.dweight, all.dweight));
    EXPECT_TRUE(at::equal(ours.dbias, all.dbias));
    const at::NoGradGuard no_grad;
    LayerNorm layer = layer_of(one);
    layer->eval();
    const auto [sum, normalised] = add(layer, one.x, {one.product, one.branch_bias}, GetParam());
    EXPECT_FALSE(normalised.requires_grad());
    EXPECT_TRUE(at::equal(sum, all.sum));
    EXPECT_TRUE(at::equal(normalised, all.normalised));
  }
}

TEST_P(LayerNormOnAGpu, HasNoSecondDerivative) {
  const Input input = random_input({5, 192}, GetParam(), at::kCUDA);
  LayerNorm layer = layer_of(input);
  const at::Tensor x = input.x.detach().requires_grad_();
  const at::Tensor y = add(layer, x, {}, GetParam()).normalized;
  EXPECT_THAT(error_of<c10::Error>([&] {
                torch::autograd::grad({y}, {x}, {input.dnormalised}, /*retain_graph=*/true, /*create_graph=*/true);
              }),
              HasSubstr("no second derivative"));
}

TEST_P(LayerNormOnAGpu, LeavesToTheOperatorsWhatItDoesNotDo) {
  const auto type = GetParam();
  const Input six = random_input({3, 5, 6}, type, at::kCUDA);
  const Input wide = random_input({3, 1028}, type, at::kCUDA);
  Input other_branch = random_input({3, 5, 192}, type, at::kCUDA);
  other_branch.product = other_branch.product.to(type == at::kFloat ? at::kHalf : at::kFloat);
  Input half_stream = random_input({3, 5, 192}, type, at::kCUDA);
  half_stream.x = half_stream.x.to(at::kHalf);
  for (const Input& input : {six, wide, other_branch, half_stream}) {
    LayerNorm layer = layer_of(input);
    const auto [sum, normalised] = add(layer, input.x, {input.product, input.branch_bias}, type);
    EXPECT_THAT(normalised.grad_fn()->name(), Not(HasSubstr("FusedLayerNorm")));
    EXPECT_TRUE(at::equal(sum, (input.x + input.product).add_(input.branch_bias)));
  }
  const Input twice = random_input({3, 5, 192}, type, at::kCUDA).in_float64();
  EXPECT_THAT(passed(twice).node, Not(HasSubstr("FusedLayerNorm")));
}

TEST_P(LayerNormOnAGpu, RefusesWhatDoesNotFitTogetherInLibTorchsWords) {
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
