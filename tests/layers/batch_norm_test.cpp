// Against LibTorch's operators: the same ones on the CPU, in float64 those that a GPU's kernels are measured by.

#include "layers/batch_norm.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "support/error_of.h"
#include "support/expect_close.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

enum class Then { nothing, relu, add_relu };

constexpr Then all_of_them[] = {Then::nothing, Then::relu, Then::add_relu};

// One pass forward and backward, and what it leaves.
struct Pass {
  at::Tensor y, dx, dresidual, dweight, dbias, running_mean, running_var;
  std::int64_t batches;
  std::string node;  // that computed the gradients
};

struct Input {
  at::Tensor x, residual, dy, shortcut_dy, weight, bias;

  Input in_float64() const {
    const auto converted = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(at::kDouble) : tensor; };
    return {converted(x),           converted(residual), converted(dy),
            converted(shortcut_dy), converted(weight),   converted(bias)};
  }
};

Input random_input(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  const auto activations = [&] { return at::randn(sizes).to(device, type).contiguous(at::MemoryFormat::ChannelsLast); };
  Input input{.x = (activations() * 3 + 1).contiguous(at::MemoryFormat::ChannelsLast),
              .residual = activations(),
              .dy = activations(),
              .shortcut_dy = activations(),
              .weight = at::rand({sizes[1]}).to(device) + 0.5,
              .bias = at::randn({sizes[1]}).to(device)};
  // No gradient where rounding may take a number over the edge of the ReLU.
  const Input exact = input.in_float64();
  const at::Tensor y = at::batch_norm(exact.x, exact.weight, exact.bias, /*running_mean=*/{}, /*running_var=*/{},
                                      /*training=*/true, /*momentum=*/0, /*eps=*/1e-5, /*cudnn_enabled=*/false);
  const at::Tensor certain = (y.abs() > 1e-5).logical_and((y + exact.residual).abs() > 1e-5);
  input.dy *= certain;
  input.shortcut_dy *= certain;
  return input;
}

BatchNorm layer_of(const Input& input) {
  BatchNorm layer(input.x.size(1));
  layer->to(input.x.device());
  if (input.weight.scalar_type() == at::kDouble) layer->to(at::kDouble);
  const at::NoGradGuard no_grad;
  layer->weight.copy_(input.weight);
  layer->bias.copy_(input.bias);
  return layer;
}

Pass passed(const Input& input, Then then, bool input_has_gradient = true) {
  BatchNorm layer = layer_of(input);
  const at::Tensor x = input.x.detach().requires_grad_(input_has_gradient);
  const at::Tensor residual = input.residual.detach().requires_grad_(then == Then::add_relu);
  const Branches y = then == Then::nothing ? Branches{.main = layer->forward(x)}
                     : then == Then::relu  ? Branches{.main = layer->relu(x)}
                                           : layer->add_relu(x, residual);
  const std::string node = y.main.grad_fn()->name();
  std::vector<at::Tensor> results, gradients;
  const auto add = [&](const at::Tensor& result, const at::Tensor& gradient) {
    if (!result.defined() || !gradient.defined()) return;
    EXPECT_EQ(result.data_ptr(), y.main.data_ptr());
    results.push_back(result);
    gradients.push_back(gradient);
  };
  add(y.main, input.dy);
  add(y.shortcut, input.shortcut_dy);
  torch::autograd::backward(results, gradients);
  return {.y = y.main.detach(),
          .dx = x.grad(),
          .dresidual = residual.grad(),
          .dweight = layer->weight.grad(),
          .dbias = layer->bias.grad(),
          .running_mean = layer->running_mean,
          .running_var = layer->running_var,
          .batches = layer->num_batches_tracked.item<std::int64_t>(),
          .node = node};
}

// tolerance: of activations. The other numbers are float32.
void expect_near(const Pass& ours, const Pass& expected, double tolerance) {
  expect_close(ours.y, expected.y, tolerance, "y");
  expect_close(ours.dx, expected.dx, tolerance, "dx");
  expect_close(ours.dresidual, expected.dresidual, tolerance, "dresidual");
  expect_close(ours.dweight, expected.dweight, 1e-5, "dweight");
  expect_close(ours.dbias, expected.dbias, 1e-5, "dbias");
  expect_close(ours.running_mean, expected.running_mean, 1e-5, "running_mean");
  expect_close(ours.running_var, expected.running_var, 1e-5, "running_var");
  EXPECT_EQ(ours.batches, expected.batches);
}

bool no_gpu() { return !at::hasCUDA(); }

TEST(BatchNorm, HasTheNamesOfLibTorchs) {
  BatchNorm layer(8);
  EXPECT_THAT(layer->named_parameters().keys(), ElementsAre("weight", "bias"));
  EXPECT_THAT(layer->named_buffers().keys(), ElementsAre("running_mean", "running_var", "num_batches_tracked"));
  EXPECT_TRUE(layer->as<torch::nn::BatchNorm2d>());
}

TEST(BatchNorm, OnTheCpuIsLibTorchsOperators) {
  at::manual_seed(1);
  const Input input = random_input({3, 8, 5, 7}, at::kFloat, at::kCPU);
  torch::nn::BatchNorm2d expected(8);
  {
    const at::NoGradGuard no_grad;
    expected->weight.copy_(input.weight);
    expected->bias.copy_(input.bias);
  }
  for (const bool training : {true, false}) {
    BatchNorm layer = layer_of(input);
    layer->train(training);
    expected->train(training);
    expected->reset_running_stats();
    const at::Tensor y = expected(input.x);
    EXPECT_TRUE(at::equal(layer->forward(input.x), y));
    EXPECT_TRUE(at::equal(layer->relu(input.x), y.relu()));
    EXPECT_TRUE(at::equal(layer->add_relu(input.x, input.residual).main, (y + input.residual).relu()));
  }
}

TEST(BatchNorm, OneNumberAChannelHasNoVariance) {
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA)}) {
    if (device.is_cuda() && no_gpu()) continue;
    const Input input = random_input({1, 8, 1, 1}, at::kFloat, device);
    EXPECT_THAT(error_of<c10::Error>([&] { layer_of(input)->relu(input.x); }),
                HasSubstr("Expected more than 1 value per channel when training"));
  }
}

class BatchNormOnAGpu : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (no_gpu()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }
};

TEST_P(BatchNormOnAGpu, IsTheOperatorsButForItsRounding) {
  const std::vector<std::vector<std::int64_t>> shapes = {{3, 8, 5, 7},    {2, 24, 9, 3},  {5, 64, 13, 11},
                                                         {9, 2048, 7, 7}, {4, 264, 9, 9}, {16, 64, 56, 56},
                                                         {1, 8, 211, 307}};
  for (const auto& shape : shapes) {
    const Input input = random_input(shape, GetParam(), at::kCUDA);
    for (const Then then : all_of_them) {
      SCOPED_TRACE(fmt::format("{}, then {}", shape, static_cast<int>(then)));
      const Pass ours = passed(input, then);
      EXPECT_THAT(ours.node, HasSubstr("FusedBatchNorm"));
      EXPECT_EQ(ours.y.scalar_type(), GetParam());
      EXPECT_TRUE(ours.y.is_contiguous(at::MemoryFormat::ChannelsLast));
      expect_near(ours, passed(input.in_float64(), then), rounding_of(GetParam()));
    }
  }
}

TEST_P(BatchNormOnAGpu, TakesTwoNumbersAChannel) {
  const Input input = random_input({2, 16, 1, 1}, GetParam(), at::kCUDA);
  const Pass ours = passed(input, Then::add_relu);
  const Pass expected = passed(input.in_float64(), Then::add_relu);
  expect_close(ours.y, expected.y, rounding_of(GetParam()), "y");
  expect_close(ours.running_var, expected.running_var, 1e-5, "running_var");
}

TEST_P(BatchNormOnAGpu, GivesTheSameBitsTwice) {
  const Input input = random_input({16, 64, 56, 56}, GetParam(), at::kCUDA);
  for (const Then then : all_of_them) {
    const Pass first = passed(input, then);
    const Pass second = passed(input, then);
    EXPECT_TRUE(at::equal(first.y, second.y));
    EXPECT_TRUE(at::equal(first.dx, second.dx));
    EXPECT_TRUE(at::equal(first.dweight, second.dweight));
    EXPECT_TRUE(at::equal(first.dbias, second.dbias));
    EXPECT_TRUE(at::equal(first.running_mean, second.running_mean));
    EXPECT_TRUE(at::equal(first.running_var, second.running_var));
  }
}

TEST_P(BatchNormOnAGpu, TakesGradientsThatLieElsewise) {
  Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  const at::Tensor nchw = input.dy.contiguous();
  const at::Tensor spread = input.dy.mean({2, 3}, /*keepdim=*/true).expand(input.dy.sizes());
  const at::Tensor apart = at::stack({input.dy, input.dy}, 4).select(4, 1);
  at::Tensor shifted = at::empty({input.dy.numel() + 1}, input.dy.options()).slice(0, 1);
  shifted = shifted.view({3, 5, 7, 64}).permute({0, 3, 1, 2});  // channels last, beside a multiple of 16 bytes
  shifted.copy_(input.dy);
  for (const at::Tensor& dy : {nchw, spread, apart, shifted}) {
    input.dy = input.shortcut_dy = dy;
    for (const Then then : all_of_them) {
      expect_near(passed(input, then), passed(input.in_float64(), then), rounding_of(GetParam()));
    }
  }
}

TEST_P(BatchNormOnAGpu, TakesTheGradientOfOneBranchAlone) {
  Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  input.dy.reset();
  expect_near(passed(input, Then::add_relu), passed(input.in_float64(), Then::add_relu), rounding_of(GetParam()));
  std::swap(input.shortcut_dy, input.dy);
  expect_near(passed(input, Then::add_relu), passed(input.in_float64(), Then::add_relu), rounding_of(GetParam()));
}

TEST_P(BatchNormOnAGpu, KeepsNaNAndTheMaskThatTheOperatorsHave) {
  Input input = random_input({3, 8, 5, 7}, GetParam(), at::kCUDA);
  input.x[1][2][3][4] = NAN;
  for (const Then then : all_of_them) {
    const Pass ours = passed(input, then);
    for (const at::Tensor& tensor : {ours.y, ours.dx}) {
      EXPECT_TRUE(tensor.select(1, 2).isnan().all().item<bool>());
      EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), 3 * 5 * 7);
    }
  }
  // What float16 rounds to nothing has no gradient; float32 and bfloat16 have numbers so small.
  input = random_input({3, 8, 5, 7}, GetParam(), at::kCUDA);
  input.weight.fill_(1e-9);
  input.bias.fill_(0);
  EXPECT_EQ(passed(input, Then::relu).dbias.count_nonzero().item<std::int64_t>(), GetParam() == at::kHalf ? 0 : 8);
}

TEST_P(BatchNormOnAGpu, ComputesNoGradientThatNobodyAsksFor) {
  const Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  for (const Then then : all_of_them) {
    const Pass all = passed(input, then);
    const Pass ours = passed(input, then, /*input_has_gradient=*/false);
    EXPECT_FALSE(ours.dx.defined());
    EXPECT_TRUE(at::equal(ours.dweight, all.dweight));
    EXPECT_TRUE(at::equal(ours.dbias, all.dbias));
  }
  const at::Tensor expected = passed(input, Then::relu).y;
  const at::NoGradGuard no_grad;
  BatchNorm layer = layer_of(input);
  const at::Tensor y = layer->relu(input.x);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(at::equal(y, expected));
  EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 1);
}

TEST_P(BatchNormOnAGpu, LeavesToTheOperatorsWhatItDoesNotDo) {
  const auto type = GetParam();
  const Input twelve = random_input({3, type == at::kFloat ? 6 : 12, 5, 7}, type, at::kCUDA);
  Input nchw = random_input({3, 16, 5, 7}, type, at::kCUDA);
  nchw.x = nchw.x.contiguous();
  for (const Input& input : {twelve, nchw}) {
    BatchNorm layer = layer_of(input);
    const at::Tensor y = static_cast<torch::nn::BatchNorm2dImpl&>(*layer).forward(input.x);
    EXPECT_TRUE(at::equal(layer->forward(input.x), y));
    EXPECT_TRUE(at::equal(layer->relu(input.x), y.relu()));
    EXPECT_TRUE(at::equal(layer->add_relu(input.x, input.residual).main, (y + input.residual).relu()));
    for (const Then then : all_of_them) EXPECT_THAT(passed(input, then).node, Not(HasSubstr("FusedBatchNorm")));
  }
  const Input twice = random_input({3, 16, 5, 7}, at::kDouble, at::kCUDA).in_float64();
  EXPECT_THAT(passed(twice, Then::add_relu).node, Not(HasSubstr("FusedBatchNorm")));
}

TEST_P(BatchNormOnAGpu, ComputesWithTheRunningStatisticsInEvalMode) {
  const Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  BatchNorm layer = layer_of(input);
  layer->relu(input.x);
  layer->eval();
  const at::NoGradGuard no_grad;
  const auto a_channel = [](const at::Tensor& tensor) { return tensor.to(at::kDouble).view({1, -1, 1, 1}); };
  const at::Tensor expected = (input.x.to(at::kDouble) - a_channel(layer->running_mean)) /
                                  (a_channel(layer->running_var) + 1e-5).sqrt() * a_channel(layer->weight) +
                              a_channel(layer->bias);
  expect_close(layer->relu(input.x), expected.relu(), rounding_of(GetParam()), "eval");
  EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 1);
}

TEST_P(BatchNormOnAGpu, TakesMoreThanTwoToThe31Numbers) {
  constexpr std::int64_t height = 1 << 14;
  constexpr std::int64_t width = (1 << 14) + 1;
  const at::NoGradGuard no_grad;
  try {
    const at::Tensor x =
        at::zeros({1, height, width, 8}, at::TensorOptions(at::kCUDA).dtype(GetParam())).permute({0, 3, 1, 2});
    x.select(2, height - 1).fill_(4);
    BatchNorm layer(torch::nn::BatchNorm2dOptions(8).momentum(1));
    layer->to(at::kCUDA);
    const at::Tensor y = layer->relu(x);
    // The blocks' first rows are the ones far from all others, which is the worst case for their sums.
    const double mean = 4.0 / height;
    const double variance = 16.0 / height - mean * mean;
    const double top = (4 - mean) / std::sqrt(variance + 1e-5);
    EXPECT_NEAR(layer->running_mean.max().item<double>(), mean, 1e-4 * mean);
    EXPECT_NEAR(layer->running_var.max().item<double>(), variance, 1e-4 * variance);
    EXPECT_NEAR(y.select(2, height - 1).min().item<double>(), top, (rounding_of(GetParam()) + 1e-4) * top);
    EXPECT_EQ(y.select(2, height - 2).max().item<double>(), 0);
    EXPECT_EQ(y.select(2, 0).max().item<double>(), 0);
  } catch (const c10::OutOfMemoryError&) {
    GTEST_SKIP() << "needs 20 GB of the GPU's memory";
  }
}

INSTANTIATE_TEST_SUITE_P(BatchNorm, BatchNormOnAGpu, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return c10::toString(instance.param); });

TEST(BatchNorm, OnAGpuKeepsASmallVarianceBesideALargeMean) {
  if (no_gpu()) GTEST_SKIP() << "needs a GPU";
  at::manual_seed(1);
  Input input = random_input({16, 64, 56, 56}, at::kFloat, at::kCUDA);
  input.x = (1000 + input.x / 10).contiguous(at::MemoryFormat::ChannelsLast);
  const Pass ours = passed(input, Then::relu);
  const Pass expected = passed(input.in_float64(), Then::relu);
  expect_close(ours.running_var, expected.running_var, 1e-5, "running_var");
  expect_close(ours.y, expected.y, 1e-3, "y");  // a mean of 1000 is a float32 number to 3e-5, a hundredth of 0.3
  // The first and last pixel of a block's sums far from all the others.
  input.x.select(2, 0).fill_(0);
  input.x.select(2, 55).fill_(0);
  expect_close(passed(input, Then::relu).running_var, passed(input.in_float64(), Then::relu).running_var, 1e-5,
               "running_var with outliers");
}

}  // namespace
}  // namespace trainyard
