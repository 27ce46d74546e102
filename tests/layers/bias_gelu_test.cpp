#include "layers/bias_gelu.h"

#include <array>
#include <cmath>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "support/error_of.h"
#include "support/expect_close.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Input {
  at::Tensor product, bias, dy;
  Gelu form = Gelu::exact;

  Input in_float64() const { return {product.to(at::kDouble), bias.to(at::kDouble), dy.to(at::kDouble), form}; }
  Input with(Gelu other) const { return {product, bias, dy, other}; }
};

constexpr std::array forms = {Gelu::exact, Gelu::tanh};

Input random_input(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  const auto values = [&](at::IntArrayRef shape) { return at::randn(shape).to(device); };
  return {.product = (values(sizes) * 2).to(type), .bias = values({sizes.back()}), .dy = values(sizes).to(type)};
}

// The results of one forward and backward pass.
struct Results {
  at::Tensor y, dproduct, dbias;
  std::string node;  // the autograd node that computed the gradients
};

Results run(const Input& input) {
  const at::Tensor product = input.product.detach().requires_grad_();
  const at::Tensor bias = input.bias.detach().requires_grad_();
  const at::Tensor y = bias_gelu(product, bias, input.form);
  y.backward(input.dy);
  return {y.detach(), product.grad(), bias.grad(), y.grad_fn()->name()};
}

// tolerance: for tensors of the product's type. The bias's gradient is float32.
void expect_near(const Results& actual, const Results& expected, double tolerance) {
  expect_close(actual.y, expected.y, tolerance, "y");
  expect_close(actual.dproduct, expected.dproduct, tolerance, "dproduct");
  expect_close(actual.dbias, expected.dbias, 1e-5, "dbias");
}

void expect_same_bits(const Results& a, const Results& b) {
  EXPECT_TRUE(at::equal(a.y, b.y));
  EXPECT_TRUE(at::equal(a.dproduct, b.dproduct));
  EXPECT_TRUE(at::equal(a.dbias, b.dbias));
}

TEST(BiasGelu, UsesLibTorchsOperatorsOnTheCpu) {
  at::manual_seed(1);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const Input input = random_input({3, 5, 8}, type, at::kCPU);
    const at::Tensor y = bias_gelu(input.product, input.bias);
    EXPECT_EQ(y.scalar_type(), type);
    EXPECT_TRUE(at::equal(y, at::gelu(input.product + input.bias.to(type))));
    EXPECT_TRUE(at::equal(bias_gelu(input.product, input.bias, Gelu::tanh),
                          at::gelu(input.product + input.bias.to(type), "tanh")));
  }
  for (const Gelu form : forms) {
    const Input input = random_input({3, 5, 8}, at::kFloat, at::kCPU).with(form);
    expect_near(run(input), run(input.in_float64()), rounding_of(at::kFloat));
  }
}

class BiasGeluOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(BiasGeluOnAGpu, MatchesFloat64UpToRounding) {
  const std::vector<std::vector<std::int64_t>> shapes = {{8},          {1, 1, 16}, {2, 3, 104},    {5, 7, 768},
                                                         {3, 17, 264}, {33, 3072}, {512, 17, 1536}};
  for (const auto& shape : shapes) {
    SCOPED_TRACE(fmt::format("{}", shape));
    const Input random = random_input(shape, GetParam(), at::kCUDA);
    for (const Gelu form : forms) {
      const Input input = random.with(form);
      const Results actual = run(input);
      EXPECT_THAT(actual.node, HasSubstr("BiasGelu"));
      EXPECT_EQ(actual.y.scalar_type(), GetParam());
      expect_near(actual, run(input.in_float64()), rounding_of(GetParam()));
    }
  }
}

TEST_P(BiasGeluOnAGpu, ReturnsTheSameBitsTwice) {
  const Input input = random_input({512, 17, 768}, GetParam(), at::kCUDA);
  for (const Gelu form : forms) expect_same_bits(run(input.with(form)), run(input.with(form)));
}

TEST_P(BiasGeluOnAGpu, AcceptsNonContiguousInput) {
  const Input input = random_input({13, 5, 104}, GetParam(), at::kCUDA);
  const auto transposed = [](const at::Tensor& t) { return t.transpose(0, 1).contiguous().transpose(0, 1); };
  const auto shifted = [](const at::Tensor& t) {
    return at::empty({t.numel() + 1}, t.options()).slice(0, 1).view(t.sizes()).copy_(t);
  };
  const Results expected = run(input);
  expect_same_bits(run({transposed(input.product), input.bias, transposed(input.dy)}), expected);
  expect_same_bits(run({shifted(input.product), shifted(input.bias), shifted(input.dy)}), expected);
}

TEST_P(BiasGeluOnAGpu, KeepsNaNInPlaceAndAcceptsLargeValues) {
  Input input = random_input({3, 5, 104}, GetParam(), at::kCUDA);
  input.product[1][2][3] = NAN;
  input.product[0][0][0] = 1000;
  input.product[0][0][1] = -1000;
  for (const Gelu form : forms) {
    const Results actual = run(input.with(form));
    for (const at::Tensor& tensor : {actual.y, actual.dproduct}) {
      EXPECT_TRUE(tensor[1][2][3].isnan().item<bool>());
      EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), 1);
    }
    EXPECT_EQ(actual.dbias.isnan().sum().item<std::int64_t>(), 1);
    EXPECT_TRUE(at::equal(actual.dproduct[0][0][0], input.dy[0][0][0]));
    EXPECT_EQ(actual.dproduct[0][0][1].item<double>(), 0);
  }
}

TEST_P(BiasGeluOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const auto type = GetParam();
  const Input narrow = random_input({3, 5, type == at::kFloat ? 6 : 12}, type, at::kCUDA);
  Input other_bias = random_input({3, 5, 16}, type, at::kCUDA);
  other_bias.bias = other_bias.bias.to(at::kHalf);
  for (const Input& input : {narrow, other_bias, random_input({3, 5, 16}, type, at::kCUDA).in_float64()}) {
    const Results actual = run(input);
    EXPECT_THAT(actual.node, Not(HasSubstr("BiasGelu")));
    EXPECT_TRUE(at::equal(actual.y, at::gelu(input.product + input.bias.to(input.product.scalar_type()))));
  }
}

TEST_P(BiasGeluOnAGpu, HasNoSecondDerivative) {
  const Input input = random_input({5, 16}, GetParam(), at::kCUDA);
  const at::Tensor product = input.product.detach().requires_grad_();
  const at::Tensor y = bias_gelu(product, input.bias);
  EXPECT_THAT(error_of<c10::Error>([&] {
                torch::autograd::grad({y}, {product}, {input.dy}, /*retain_graph=*/true, /*create_graph=*/true);
              }),
              HasSubstr("no second derivative"));
}

INSTANTIATE_TEST_SUITE_P(BiasGelu, BiasGeluOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
