// Whether the fused products are faster, and so whether they run, is up to the machine: gelu_product_cuda_test.cpp
// tests each of them.

#include "layers/gelu_mlp.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>

#include "layers/fused.h"
#include "support/expect_close.h"
#include "support/measuring_on_a_gpu.h"
#include "support/precision_of.h"
#include "training/cuda_graph.h"
#include "training/precision.h"

namespace trainyard {
namespace {

struct Shape {
  std::vector<std::int64_t> batch;
  std::int64_t in, hidden, out;
  bool transposed = false;  // the weights are stored in × out
};

struct Input {
  at::Tensor x, weight, bias, projection, dy;

  Input to(at::ScalarType type) const {
    return {x.to(type), weight.to(type), bias.to(type), projection.to(type), dy.to(type)};
  }
};

Input random_input(const Shape& shape, at::ScalarType type, at::Device device) {
  const auto activations = [&](std::int64_t width) {
    std::vector<std::int64_t> sizes = shape.batch;
    sizes.push_back(width);
    return at::randn(sizes).to(device, type);
  };
  const auto weight = [&](std::int64_t out, std::int64_t in) {
    const at::Tensor values = (at::randn({out, in}) / std::sqrt(static_cast<double>(in))).to(device, type);
    return shape.transposed ? values.t().contiguous().t() : values;
  };
  return {.x = activations(shape.in),
          .weight = weight(shape.hidden, shape.in),
          .bias = at::randn({shape.hidden}).to(device, type),
          .projection = weight(shape.out, shape.hidden),
          .dy = activations(shape.out)};
}

struct Results {
  at::Tensor y, dx, dweight, dbias, dprojection;

  std::array<at::Tensor, 5> all() const { return {y, dx, dweight, dbias, dprojection}; }
};

// The inputs that need gradients.
struct Needs {
  bool x = true, weight = true, bias = true, projection = true;
};

Results run(const Input& input, Needs needs = {}) {
  const auto leaf = [](const at::Tensor& tensor, bool needed) { return tensor.detach().requires_grad_(needed); };
  const at::Tensor x = leaf(input.x, needs.x), weight = leaf(input.weight, needs.weight),
                   bias = leaf(input.bias, needs.bias), projection = leaf(input.projection, needs.projection);
  const at::Tensor y = gelu_mlp(x, weight, bias, projection);
  y.backward(input.dy.to(y.scalar_type()));
  return {y.detach(), x.grad(), weight.grad(), bias.grad(), projection.grad()};
}

// The results and the operands of each product are rounded to `type`, and cuBLASLt approximates tanh.
void expect_near(const Results& actual, const Results& expected, at::ScalarType type) {
  const double tolerance = 3 * rounding_of(type);
  expect_close(actual.y, expected.y, tolerance, "y");
  expect_close(actual.dx, expected.dx, tolerance, "dx");
  expect_close(actual.dweight, expected.dweight, tolerance, "dweight");
  expect_close(actual.dbias, expected.dbias, tolerance, "dbias");
  expect_close(actual.dprojection, expected.dprojection, tolerance, "dprojection");
}

bool same_bits(const Results& a, const Results& b) {
  const auto tensors = a.all(), others = b.all();
  return std::equal(tensors.begin(), tensors.end(), others.begin(),
                    [](const at::Tensor& x, const at::Tensor& y) { return at::equal(x, y); });
}

at::Tensor composed(const Input& input) {
  return at::linear(at::gelu(at::linear(input.x, input.weight) + input.bias, "tanh"), input.projection);
}

TEST(GeluMlp, UsesLibTorchsOperatorsOnTheCpu) {
  at::manual_seed(1);
  for (const bool transposed : {false, true}) {
    const Shape shape{.batch = {3, 5}, .in = 16, .hidden = 24, .out = 8, .transposed = transposed};
    const Input input = random_input(shape, at::kFloat, at::kCPU);
    const Results actual = run(input);
    EXPECT_TRUE(at::equal(actual.y, composed(input)));
    expect_near(actual, run(input.to(at::kDouble)), at::kFloat);
  }
}

class GeluMlpOnAGpu : public MeasuringOnAGpu<testing::TestWithParam<at::ScalarType>> {
 protected:
  static Input random(const Shape& shape) { return random_input(shape, GetParam(), at::kCUDA); }

  static std::optional<at::Tensor> fused(const Input& input) {
    return fused_gelu_mlp(input.x, input.weight, input.bias, input.projection);
  }

  // Large enough that passes over the hidden activations take a large share of the time.
  static Shape wide() { return {.batch = {8, 1024}, .in = 256, .hidden = 2048, .out = 256, .transposed = true}; }
};

TEST_P(GeluMlpOnAGpu, MatchesFloat64UpToRounding) {
  for (const Shape& shape : {wide(), Shape{.batch = {1, 1}, .in = 8, .hidden = 8, .out = 8},
                             Shape{.batch = {3, 17}, .in = 64, .hidden = 256, .out = 40},
                             Shape{.batch = {1023}, .in = 104, .hidden = 416, .out = 104, .transposed = true},
                             Shape{.batch = {4, 2, 129}, .in = 384, .hidden = 1536, .out = 384},
                             Shape{.batch = {5, 7}, .in = 12, .hidden = 50, .out = 12}}) {
    SCOPED_TRACE(fmt::format("{} to {} to {}", shape.in, shape.hidden, shape.out));
    const Input input = random(shape);
    const Results actual = run(input);
    for (const at::Tensor& tensor : actual.all()) EXPECT_EQ(tensor.scalar_type(), GetParam());
    EXPECT_EQ(actual.dweight.strides(), input.weight.strides());
    EXPECT_EQ(actual.dprojection.strides(), input.projection.strides());
    expect_near(actual, run(input.to(at::kDouble)), GetParam());
  }
}

TEST_P(GeluMlpOnAGpu, CastsLikeAutocast) {
  const Input rounded = random(wide());
  const Input input = rounded.to(at::kFloat);
  Results actual;
  {
    const Autocast autocast(precision_of(GetParam()), at::kCUDA);
    actual = run(input);
  }
  EXPECT_EQ(actual.y.scalar_type(), GetParam());
  for (const at::Tensor& tensor : {actual.dx, actual.dweight, actual.dbias, actual.dprojection}) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat);
  }
  expect_near(actual, run(input.to(at::kDouble)), GetParam());
}

TEST_P(GeluMlpOnAGpu, ReturnsTheSameBitsTwice) {
  const Input input = random(wide());
  EXPECT_TRUE(same_bits(run(input), run(input)));
}

TEST_P(GeluMlpOnAGpu, NeedsNoGradient) {
  const Input input = random(wide());
  const Results expected = run(input);
  const at::NoGradGuard no_grad;
  const at::Tensor y = gelu_mlp(input.x, input.weight, input.bias, input.projection);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(at::equal(y, expected.y));
}

TEST_P(GeluMlpOnAGpu, ComputesOnlyTheGradientsThatAreNeeded) {
  const Input input = random(wide());
  const Results all = run(input);
  const auto expect_only = [&](Needs needs) {
    const Results some = run(input, needs);
    const auto expect = [](bool needed, const at::Tensor& actual, const at::Tensor& expected) {
      EXPECT_EQ(actual.defined(), needed);
      EXPECT_TRUE(!actual.defined() || at::equal(actual, expected));
    };
    expect(needs.x, some.dx, all.dx);
    expect(needs.weight, some.dweight, all.dweight);
    expect(needs.bias, some.dbias, all.dbias);
    expect(needs.projection, some.dprojection, all.dprojection);
  };
  expect_only({.x = true, .weight = false, .bias = false, .projection = false});
  expect_only({.x = false, .weight = true, .bias = false, .projection = true});
  expect_only({.x = false, .weight = false, .bias = true, .projection = false});
  expect_only({.x = false, .weight = false, .bias = false, .projection = true});
}

TEST_P(GeluMlpOnAGpu, AddsTheGradientsOfTwoUses) {
  const Input input = random(wide());
  const at::Tensor x = input.x.detach().requires_grad_();
  (gelu_mlp(x, input.weight, input.bias, input.projection) + x).backward(input.dy);
  expect_close(x.grad(), run(input).dx + input.dy, rounding_of(GetParam()), "dx");
}

TEST_P(GeluMlpOnAGpu, AcceptsNonContiguousInput) {
  Input input = random(wide());
  const Results expected = run(input);
  const auto transposed = [](const at::Tensor& t) { return t.transpose(0, 1).contiguous().transpose(0, 1); };
  input.x = transposed(input.x);
  input.dy = transposed(input.dy);
  EXPECT_TRUE(same_bits(run(input), expected));
}

TEST_P(GeluMlpOnAGpu, ReplaysInACudaGraph) {
  const Input input = random(wide()), other = random(wide());
  const Input captured{.x = input.x.clone(),
                       .weight = input.weight,
                       .bias = input.bias,
                       .projection = input.projection,
                       .dy = input.dy.clone()};
  run(input);
  Results results;
  const auto graph = capture_cuda_graph(input.x.device(), [&] { results = run(captured); });
  for (const Input& one : {input, other}) {
    captured.x.copy_(one.x);
    captured.dy.copy_(one.dy);
    graph->replay();
    EXPECT_TRUE(same_bits(results, run(captured)));
  }
}

TEST_P(GeluMlpOnAGpu, CapturesShapesThatItHasNotMeasured) {
  const Input input = random({.batch = {3, 333}, .in = 256, .hidden = 1024, .out = 256});
  at::globalContext().setBenchmarkCuDNN(false);
  run(input);
  at::globalContext().setBenchmarkCuDNN(true);
  std::optional<at::Tensor> y;
  const auto graph = capture_cuda_graph(input.x.device(), [&] { y = fused(input); });
  EXPECT_FALSE(y.has_value());
}

TEST_P(GeluMlpOnAGpu, MeasuresNothingInDeterministicMode) {
  const Input input = random(wide());
  at::globalContext().setDeterministicCuDNN(true);
  EXPECT_FALSE(fused(input));
  EXPECT_TRUE(same_bits(run(input), run(input)));
  at::globalContext().setDeterministicCuDNN(false);
  at::globalContext().setBenchmarkCuDNN(false);
  EXPECT_FALSE(fused(input));
}

TEST_P(GeluMlpOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const Input input = random(wide());
  EXPECT_FALSE(fused(input.to(at::kFloat)));
  EXPECT_FALSE(fused(input.to(at::kDouble)));
  EXPECT_FALSE(fused(random({.batch = {512}, .in = 252, .hidden = 1024, .out = 256})));
  EXPECT_FALSE(fused(random({.batch = {512}, .in = 256, .hidden = 1020, .out = 256})));
  EXPECT_FALSE(fused(random({.batch = {512}, .in = 256, .hidden = 1024, .out = 252})));
  Input other = input;
  other.bias = input.bias.to(at::kFloat);
  EXPECT_FALSE(fused(other)) << "without autocast the bias has another type";
  other = input;
  other.weight = at::empty({2048, 512}, input.weight.options()).slice(1, 0, 256);
  EXPECT_FALSE(fused(other)) << "not dense";
  other = input;
  other.projection = at::empty({input.projection.numel() + 1}, input.weight.options()).slice(0, 1).view({256, 2048});
  EXPECT_FALSE(fused(other)) << "not aligned to 16 bytes";
  const Autocast autocast(precision_of(GetParam()), at::kCUDA);
  EXPECT_FALSE(fused(input.to(at::kDouble)));
}

INSTANTIATE_TEST_SUITE_P(GeluMlp, GeluMlpOnAGpu, testing::Values(at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

}  // namespace
}  // namespace trainyard
