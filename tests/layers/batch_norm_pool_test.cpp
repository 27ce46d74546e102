// Compares BatchNorm's relu_pool() and conv_norm_relu_pool() with the layers called one after the other: on the CPU bit
// for bit, on a GPU with the same layers in float64 and, where rounding makes values equal, in the same type.

#include <cmath>

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "layers/conv_norm.h"
#include "layers/fused.h"
#include "layers/max_pool.h"
#include "support/error_of.h"
#include "support/expect_close.h"
#include "support/measuring_on_a_gpu.h"
#include "training/cuda_graph.h"
#include "training/precision.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Results {
  at::Tensor y, dx, dfilter, dweight, dbias, running_mean, running_var;
  std::string node;  // the autograd node that computed the gradients
};

struct Input {
  at::Tensor x, dy, shortcut_dy, weight, bias;

  Input in_float64() const {
    const auto converted = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(at::kDouble) : tensor; };
    return {converted(x), converted(dy), converted(shortcut_dy), converted(weight), converted(bias)};
  }
};

at::Tensor pooled(const at::Tensor& y) { return at::max_pool2d(y, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1); }

at::Tensor activations(at::IntArrayRef sizes, const at::Tensor& like) {
  return at::randn(sizes).to(like.options()).contiguous(at::MemoryFormat::ChannelsLast);
}

BatchNorm layer_of(const Input& input) {
  BatchNorm layer(input.x.size(1));
  layer->to(input.x.device());
  if (input.x.scalar_type() == at::kDouble) layer->to(at::kDouble);
  const at::NoGradGuard no_grad;
  layer->weight.copy_(input.weight);
  layer->bias.copy_(input.bias);
  return layer;
}

// No gradient for maxima so close to zero that rounding may change the ReLU's mask.
Input input_of(const at::Tensor& x) {
  const std::int64_t channels = x.size(1);
  Input input{
      .x = x, .weight = at::rand({channels}).to(x.device()) + 0.5, .bias = at::randn({channels}).to(x.device())};
  input.weight.slice(0, 0, channels, 3) *= -1;
  const Input exact = input.in_float64();
  const at::NoGradGuard no_grad;
  const at::Tensor maxima = pooled(layer_of(exact)->forward(exact.x));
  const at::Tensor certain = maxima.abs() > 1e-3;
  input.dy = activations(maxima.sizes(), x) * certain;
  input.shortcut_dy = activations(maxima.sizes(), x) * certain;
  return input;
}

at::Tensor channels_last(const at::Tensor& values, at::ScalarType type, at::Device device) {
  return values.to(device, type).contiguous(at::MemoryFormat::ChannelsLast);
}

// The nine values of each window differ so much that no rounding changes their order.
Input distinct_input(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  const at::Tensor order = at::rand({sizes[0], sizes[1], 9}).argsort(/*dim=*/2, /*descending=*/false);
  const at::Tensor place =
      (at::arange(sizes[2], at::kLong) % 3 * 3).view({-1, 1}) + at::arange(sizes[3], at::kLong) % 3;
  const at::Tensor level = order.index_select(2, place.flatten()).view(sizes);
  return input_of(channels_last(level - 4 + at::rand(sizes) / 2, type, device));
}

// Small integers, many of them equal.
Input equal_input(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  return input_of(channels_last(at::randint(-4, 5, sizes, at::kLong), type, device));
}

void backward(const Branches& y, const Input& input) {
  std::vector<at::Tensor> results, gradients;
  const auto add = [&](const at::Tensor& result, const at::Tensor& gradient) {
    if (!gradient.defined()) return;
    EXPECT_EQ(result.data_ptr(), y.main.data_ptr());
    results.push_back(result);
    gradients.push_back(gradient.to(result.scalar_type()));
  };
  add(y.main, input.dy);
  add(y.shortcut, input.shortcut_dy);
  torch::autograd::backward(results, gradients);
}

template <typename Layers>
Results run(BatchNorm layer, const Input& input, const Layers& layers, bool input_has_gradient = true) {
  layer->zero_grad();
  const at::Tensor x = input.x.detach().requires_grad_(input_has_gradient);
  const Branches y = layers(layer, x);
  const std::string node = y.main.grad_fn()->name();
  backward(y, input);
  return {.y = y.main.detach(),
          .dx = x.grad(),
          .dfilter = {},
          .dweight = layer->weight.grad().clone(),
          .dbias = layer->bias.grad().clone(),
          .running_mean = layer->running_mean.clone(),
          .running_var = layer->running_var.clone(),
          .node = node};
}

Branches relu_pool(BatchNorm& layer, const at::Tensor& x) { return layer->relu_pool(x); }

Branches relu_then_pool(BatchNorm& layer, const at::Tensor& x) {
  const at::Tensor y = max_pool(layer->relu(x), /*size=*/3, /*stride=*/2, /*padding=*/1);
  return {y, y};
}

Results run(const Input& input, bool input_has_gradient = true) {
  return run(layer_of(input), input, relu_pool, input_has_gradient);
}

Results run_in_float64(const Input& input) { return run(input.in_float64()); }

// tolerance: of activations. sums: of all other values.
void expect_near(const Results& actual, const Results& expected, double tolerance, double sums = 1e-5) {
  expect_close(actual.y, expected.y, tolerance, "y");
  expect_close(actual.dx, expected.dx, tolerance, "dx");
  expect_close(actual.dfilter, expected.dfilter, tolerance, "dfilter");
  expect_close(actual.dweight, expected.dweight, sums, "dweight");
  expect_close(actual.dbias, expected.dbias, sums, "dbias");
  expect_close(actual.running_mean, expected.running_mean, sums, "running_mean");
  expect_close(actual.running_var, expected.running_var, sums, "running_var");
}

void expect_same_bits(const Results& actual, const Results& expected) {
  EXPECT_TRUE(at::equal(actual.y, expected.y));
  EXPECT_TRUE(at::equal(actual.dx, expected.dx));
  EXPECT_TRUE(at::equal(actual.dweight, expected.dweight));
  EXPECT_TRUE(at::equal(actual.dbias, expected.dbias));
  EXPECT_TRUE(at::equal(actual.running_mean, expected.running_mean));
  EXPECT_TRUE(at::equal(actual.running_var, expected.running_var));
}

TEST(BatchNormPool, CallsTheLayersOnTheCpu) {
  at::manual_seed(1);
  for (const at::Tensor& x : {at::randn({3, 8, 9, 6}), at::randn({2, 5, 1, 1})}) {
    const Input input = input_of(x.contiguous(at::MemoryFormat::ChannelsLast));
    expect_same_bits(run(input), run(layer_of(input), input, relu_then_pool));
    BatchNorm layer = layer_of(input);
    layer->eval();
    EXPECT_TRUE(at::equal(layer->relu_pool(input.x).main, pooled(layer->forward(input.x).relu())));
  }
}

TEST(BatchNormPool, CallsTheLayersAfterAConvolutionOnTheCpu) {
  at::manual_seed(1);
  torch::nn::Conv2d conv(torch::nn::Conv2dOptions(3, 8, 3).stride(2).padding(1).bias(false));
  const Input input = input_of(at::randn({2, 8, 10, 7}));
  const at::Tensor images = at::randn({2, 3, 20, 13});
  for (const bool training : {true, false}) {
    BatchNorm norm = layer_of(input);
    norm->train(training);
    const auto with_filter_gradient = [&](const auto& layers) {
      conv->zero_grad();
      Results results = run(norm, input, [&](BatchNorm& layer, const at::Tensor&) { return layers(layer); });
      norm->reset_running_stats();
      results.dx = conv->weight.grad().clone();
      return results;
    };
    expect_same_bits(with_filter_gradient([&](BatchNorm& layer) { return conv_norm_relu_pool(conv, layer, images); }),
                     with_filter_gradient([&](BatchNorm& layer) { return relu_then_pool(layer, conv(images)); }));
  }
}

class BatchNormPoolOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(BatchNormPoolOnAGpu, MatchesFloat64UpToRounding) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{3, 8, 5, 7},
                                                                  {9, 72, 9, 1},
                                                                  {9, 64, 1, 6},
                                                                  {9, 8, 2, 2},
                                                                  {64, 8, 1, 1},
                                                                  {5, 64, 13, 11},
                                                                  {4, 264, 18, 19},
                                                                  {2, 2048, 7, 8},
                                                                  {8, 64, 112, 112},
                                                                  {1, 8, 211, 307}}) {
    SCOPED_TRACE(fmt::to_string(fmt::join(shape, " × ")));
    const Input input = distinct_input(shape, GetParam(), at::kCUDA);
    const Results actual = run(input);
    EXPECT_THAT(actual.node, HasSubstr("FusedBatchNorm"));
    EXPECT_EQ(actual.y.scalar_type(), GetParam());
    EXPECT_TRUE(actual.y.is_contiguous(at::MemoryFormat::ChannelsLast));
    expect_near(actual, run_in_float64(input), rounding_of(GetParam()));
  }
}

TEST_P(BatchNormPoolOnAGpu, HasTheBitsOfTheLayersForEqualValues) {
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{3, 8, 5, 7}, {5, 72, 21, 18}, {8, 64, 112, 112}}) {
    SCOPED_TRACE(fmt::to_string(fmt::join(shape, " × ")));
    Input input = equal_input(shape, GetParam(), at::kCUDA);
    input.weight.slice(0, 1, 4).fill_(1e-9);  // all values become the bias
    const Results actual = run(input);
    const Results expected = run(layer_of(input), input, relu_then_pool);
    EXPECT_TRUE(at::equal(actual.y, expected.y));
    const double tolerance = 2 * rounding_of(GetParam());  // those layers round the gradients between them
    expect_near(actual, expected, tolerance, tolerance + 1e-5);
  }
}

// Windows with NaN, infinity and zeros.
TEST_P(BatchNormPoolOnAGpu, HasTheBitsOfTheLayersForInfiniteWeights) {
  Input input = equal_input({3, 64, 9, 7}, GetParam(), at::kCUDA);
  input.weight.fill_(INFINITY);
  const at::NoGradGuard no_grad;
  const BatchNorm layer = layer_of(input);
  const at::Tensor zero = at::zeros({64}, input.bias.options());
  const at::Tensor sums = at::stack({zero, zero + 3 * 9 * 7});  // a mean of 0
  const at::Tensor y = fused_batch_norm_pool(*layer, input.x, /*all_reduce=*/nullptr, sums)->main;
  const at::Tensor normalized = fused_batch_norm(*layer, input.x, std::nullopt, /*relu=*/true, nullptr, sums)->main;
  const at::Tensor expected = max_pool(normalized, /*size=*/3, /*stride=*/2, /*padding=*/1);
  EXPECT_TRUE(expected.isnan().any().item<bool>());
  EXPECT_FALSE(expected.isnan().all().item<bool>());
  EXPECT_TRUE(y.allclose(expected, 0, 0, /*equal_nan=*/true));
}

TEST_P(BatchNormPoolOnAGpu, AcceptsSums) {
  const Input input = distinct_input({5, 64, 29, 34}, GetParam(), at::kCUDA);
  const auto with_sums = [](BatchNorm& layer, const at::Tensor& x) {
    const at::Tensor exact = x.detach().to(at::kDouble);
    const at::Tensor sums = at::stack({exact.sum({0, 2, 3}), exact.square().sum({0, 2, 3})}).to(at::kFloat);
    return *fused_batch_norm_pool(*layer, x, /*all_reduce=*/nullptr, sums);
  };
  expect_near(run(layer_of(input), input, with_sums), run_in_float64(input), rounding_of(GetParam()));
}

TEST_P(BatchNormPoolOnAGpu, KeepsNaN) {
  Input input = distinct_input({3, 8, 5, 7}, GetParam(), at::kCUDA);
  input.x[1][2][3][4] = NAN;
  const Results actual = run(input);
  for (const at::Tensor& tensor : {actual.y, actual.dx}) {
    EXPECT_TRUE(tensor.select(1, 2).isnan().all().item<bool>());
    EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), tensor.numel() / 8);
  }
}

TEST_P(BatchNormPoolOnAGpu, ReturnsTheSameBitsTwice) {
  const Input input = distinct_input({16, 64, 56, 56}, GetParam(), at::kCUDA);
  expect_same_bits(run(input), run(input));
}

TEST_P(BatchNormPoolOnAGpu, AcceptsTheGradientOfOneBranchOnly) {
  Input input = distinct_input({3, 64, 9, 7}, GetParam(), at::kCUDA);
  input.dy.reset();
  expect_near(run(input), run_in_float64(input), rounding_of(GetParam()));
  std::swap(input.shortcut_dy, input.dy);
  expect_near(run(input), run_in_float64(input), rounding_of(GetParam()));
}

TEST_P(BatchNormPoolOnAGpu, AcceptsNonContiguousGradients) {
  Input input = distinct_input({3, 64, 9, 7}, GetParam(), at::kCUDA);
  const at::Tensor strided = at::stack({input.dy, input.dy}, 4).select(4, 1);
  at::Tensor shifted = at::empty({input.dy.numel() + 1}, input.dy.options()).slice(0, 1);
  shifted = shifted.view({3, 5, 4, 64}).permute({0, 3, 1, 2});  // channels last, not aligned to 16 bytes
  shifted.copy_(input.dy);
  for (const at::Tensor& dy : {input.dy.contiguous(), strided, shifted}) {
    input.dy = input.shortcut_dy = dy;
    expect_near(run(input), run_in_float64(input), rounding_of(GetParam()));
  }
}

TEST_P(BatchNormPoolOnAGpu, SkipsGradientsThatAreNotNeeded) {
  const Input input = distinct_input({3, 64, 9, 7}, GetParam(), at::kCUDA);
  const Results all = run(input);
  const Results actual = run(input, /*input_has_gradient=*/false);
  EXPECT_FALSE(actual.dx.defined());
  EXPECT_TRUE(at::equal(actual.dweight, all.dweight));
  EXPECT_TRUE(at::equal(actual.dbias, all.dbias));
  const at::NoGradGuard no_grad;
  const at::Tensor y = layer_of(input)->relu_pool(input.x).main;
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(at::equal(y, all.y));
}

// A second process with the same samples doubles every sum, so the means stay the same.
TEST_P(BatchNormPoolOnAGpu, SynchronizesTwoProcesses) {
  const Input input = distinct_input({3, 64, 9, 7}, GetParam(), at::kCUDA);
  BatchNorm layer = layer_of(input);
  int exchanges = 0;
  layer->synchronize([&](const at::Tensor& sums) {
    sums.mul_(2);
    ++exchanges;
  });
  const Results actual = run(layer, input, relu_pool);
  EXPECT_EQ(exchanges, 2);
  const Results expected = run(input);
  expect_close(actual.y, expected.y, rounding_of(GetParam()), "y");
  expect_close(actual.dx, expected.dx, rounding_of(GetParam()), "dx");
  expect_close(actual.dweight, expected.dweight, 1e-5, "dweight");
  expect_close(actual.dbias, expected.dbias, 1e-5, "dbias");
}

TEST_P(BatchNormPoolOnAGpu, CallsTheLayersForUnsupportedInput) {
  const auto type = GetParam();
  const Input narrow = equal_input({3, type == at::kFloat ? 6 : 12, 9, 7}, type, at::kCUDA);
  Input nchw = equal_input({3, 16, 9, 7}, type, at::kCUDA);
  nchw.x = nchw.x.contiguous();
  for (const Input& input : {narrow, nchw}) {
    const Results actual = run(input);
    EXPECT_THAT(actual.node, Not(HasSubstr("FusedBatchNorm")));
    EXPECT_TRUE(at::equal(actual.y, pooled(layer_of(input)->forward(input.x).relu())));
  }
  const Input input = equal_input({3, 16, 9, 7}, type, at::kCUDA);
  BatchNorm layer = layer_of(input);
  layer->eval();
  EXPECT_TRUE(at::equal(layer->relu_pool(input.x).main, pooled(layer->forward(input.x).relu())));
  EXPECT_THAT(
      error_of<c10::Error>([&] { layer_of(input)->relu_pool(input.x.slice(0, 0, 1).slice(2, 0, 1).slice(3, 0, 1)); }),
      HasSubstr("Expected more than 1 value per channel when training"));
}

INSTANTIATE_TEST_SUITE_P(BatchNormPool, BatchNormPoolOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

class ConvNormPoolOnAGpu : public MeasuringOnAGpu<> {
 protected:
  // The convolution returns its input, so that no rounding changes the order of values in a window. Its shape is one
  // for which a convolution that also computes the sums is fast.
  static torch::nn::Conv2d identity(at::ScalarType type) {
    torch::nn::Conv2d conv(torch::nn::Conv2dOptions(64, 64, 1).bias(false));
    conv->to(at::kCUDA, type);
    const at::NoGradGuard no_grad;
    conv->weight.copy_(at::eye(64).view({64, 64, 1, 1}));
    return conv;
  }
  static Input wide_input(at::ScalarType type) { return distinct_input({64, 64, 56, 56}, type, at::kCUDA); }

  static Results run_after(torch::nn::Conv2d conv, const BatchNorm& norm, const Input& input) {
    conv->zero_grad();
    Results results =
        run(norm, input, [&](BatchNorm& layer, const at::Tensor& x) { return conv_norm_relu_pool(conv, layer, x); });
    results.dfilter = conv->weight.grad().clone();
    return results;
  }
  static Results run_after_in_float64(const Input& input) {
    return run_after(identity(at::kDouble), layer_of(input.in_float64()), input.in_float64());
  }
};

TEST_F(ConvNormPoolOnAGpu, MatchesFloat64UpToRounding) {
  const Input input = wide_input(at::kHalf);
  const Results actual = run_after(identity(at::kHalf), layer_of(input), input);
  EXPECT_EQ(actual.y.scalar_type(), at::kHalf);
  EXPECT_THAT(actual.node, HasSubstr("FusedBatchNorm"));
  expect_near(actual, run_after_in_float64(input), 1e-3, 1e-3);
}

TEST_F(ConvNormPoolOnAGpu, CastsLikeAutocast) {
  Input input = wide_input(at::kHalf);
  for (at::Tensor* tensor : {&input.x, &input.dy, &input.shortcut_dy}) *tensor = tensor->to(at::kFloat);
  Results actual;
  {
    const Autocast autocast(Precision::fp16, at::kCUDA);
    actual = run_after(identity(at::kFloat), layer_of(input), input);
  }
  EXPECT_EQ(actual.y.scalar_type(), at::kHalf);
  EXPECT_EQ(actual.dx.scalar_type(), at::kFloat);
  expect_near(actual, run_after_in_float64(input), 2e-3, 2e-3);
}

TEST_F(ConvNormPoolOnAGpu, ReplaysInACudaGraph) {
  const Input input = wide_input(at::kHalf);
  const Input other{(2 * input.x).flip(0), input.dy.flip(0), input.shortcut_dy.flip(0), input.weight, input.bias};
  torch::nn::Conv2d conv = identity(at::kHalf);
  BatchNorm norm = layer_of(input);
  const Input captured{input.x.clone(), input.dy.clone(), input.shortcut_dy.clone(), input.weight, input.bias};
  run_after(conv, norm, captured);
  Results results;
  const auto graph = capture_cuda_graph(input.x.device(), [&] { results = run_after(conv, norm, captured); });
  for (const Input& one : {input, other}) {
    captured.x.copy_(one.x);
    captured.dy.copy_(one.dy);
    captured.shortcut_dy.copy_(one.shortcut_dy);
    norm->reset_running_stats();
    graph->replay();
    expect_near(results, run_after_in_float64(one), 1e-3, 1e-3);
  }
}

TEST_F(ConvNormPoolOnAGpu, HasTheBitsOfTheLayersInDeterministicMode) {
  at::globalContext().setDeterministicCuDNN(true);
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    torch::nn::Conv2d conv(torch::nn::Conv2dOptions(3, 64, 7).stride(2).padding(3).bias(false));
    conv->to(at::kCUDA, type);
    const Input input = equal_input({4, 64, 28, 27}, type, at::kCUDA);
    const at::Tensor images = channels_last(at::randn({4, 3, 56, 53}), type, at::kCUDA);
    const Results actual = run(layer_of(input), input, [&](BatchNorm& layer, const at::Tensor&) {
      return conv_norm_relu_pool(conv, layer, images);
    });
    const Results expected = run(layer_of(input), input, [&](BatchNorm& layer, const at::Tensor&) {
      return relu_then_pool(layer, conv(images));
    });
    EXPECT_TRUE(at::equal(actual.y, expected.y));
    expect_close(actual.dweight, expected.dweight, 2 * rounding_of(type) + 1e-5, "dweight");
    expect_close(actual.dbias, expected.dbias, 2 * rounding_of(type) + 1e-5, "dbias");
  }
}

}  // namespace
}  // namespace trainyard
