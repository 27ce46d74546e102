// Compares with LibTorch's operators: on the CPU bit for bit, on a GPU with the same operators in float64.

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

// What is fused with the norm.
enum class Epilogue { none, relu, add_relu };

constexpr Epilogue all_epilogues[] = {Epilogue::none, Epilogue::relu, Epilogue::add_relu};

// The results of one forward and backward pass.
struct Results {
  at::Tensor y, dx, dresidual, dweight, dbias, running_mean, running_var;
  std::int64_t batches;
  std::string node;  // the autograd node that computed the gradients
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
  // No gradient for values so close to zero that rounding may change the ReLU mask.
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

Results run(const Input& input, Epilogue epilogue, bool input_has_gradient = true) {
  BatchNorm layer = layer_of(input);
  const at::Tensor x = input.x.detach().requires_grad_(input_has_gradient);
  const at::Tensor residual = input.residual.detach().requires_grad_(epilogue == Epilogue::add_relu);
  const Branches y = epilogue == Epilogue::none   ? Branches{.main = layer->forward(x)}
                     : epilogue == Epilogue::relu ? Branches{.main = layer->relu(x)}
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

// tolerance: for activations. All other values are float32.
void expect_near(const Results& actual, const Results& expected, double tolerance) {
  expect_close(actual.y, expected.y, tolerance, "y");
  expect_close(actual.dx, expected.dx, tolerance, "dx");
  expect_close(actual.dresidual, expected.dresidual, tolerance, "dresidual");
  expect_close(actual.dweight, expected.dweight, 1e-5, "dweight");
  expect_close(actual.dbias, expected.dbias, 1e-5, "dbias");
  expect_close(actual.running_mean, expected.running_mean, 1e-5, "running_mean");
  expect_close(actual.running_var, expected.running_var, 1e-5, "running_var");
  EXPECT_EQ(actual.batches, expected.batches);
}

bool no_gpu() { return !at::hasCUDA(); }

TEST(BatchNorm, HasLibTorchsParameterNames) {
  BatchNorm layer(8);
  EXPECT_THAT(layer->named_parameters().keys(), ElementsAre("weight", "bias"));
  EXPECT_THAT(layer->named_buffers().keys(), ElementsAre("running_mean", "running_var", "num_batches_tracked"));
  EXPECT_TRUE(layer->as<torch::nn::BatchNorm2d>());
}

TEST(BatchNorm, UsesLibTorchsOperatorsOnTheCpu) {
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

TEST(BatchNorm, RefusesOneValuePerChannel) {
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

TEST_P(BatchNormOnAGpu, MatchesFloat64UpToRounding) {
  // The last ones have 16 MiB in float32, and in float16 16 MiB or a row of pixels more: from there on a kernel between
  // the passes adds up the partial sums.
  const std::vector<std::vector<std::int64_t>> shapes = {
      {3, 8, 5, 7},     {2, 24, 9, 3},    {5, 64, 13, 11},  {9, 2048, 7, 7},   {4, 264, 9, 9},
      {16, 64, 56, 56}, {1, 8, 211, 307}, {16, 64, 64, 64}, {16, 128, 64, 64}, {1, 128, 257, 256}};
  for (const auto& shape : shapes) {
    const Input input = random_input(shape, GetParam(), at::kCUDA);
    for (const Epilogue epilogue : all_epilogues) {
      SCOPED_TRACE(fmt::format("{}, epilogue {}", shape, static_cast<int>(epilogue)));
      const Results actual = run(input, epilogue);
      EXPECT_THAT(actual.node, HasSubstr("FusedBatchNorm"));
      EXPECT_EQ(actual.y.scalar_type(), GetParam());
      EXPECT_TRUE(actual.y.is_contiguous(at::MemoryFormat::ChannelsLast));
      expect_near(actual, run(input.in_float64(), epilogue), rounding_of(GetParam()));
    }
  }
}

TEST_P(BatchNormOnAGpu, AcceptsTwoValuesPerChannel) {
  const Input input = random_input({2, 16, 1, 1}, GetParam(), at::kCUDA);
  const Results actual = run(input, Epilogue::add_relu);
  const Results expected = run(input.in_float64(), Epilogue::add_relu);
  expect_close(actual.y, expected.y, rounding_of(GetParam()), "y");
  expect_close(actual.running_var, expected.running_var, 1e-5, "running_var");
}

TEST_P(BatchNormOnAGpu, ReturnsTheSameBitsTwice) {
  for (const std::int64_t images : {8, 48}) {
    const Input input = random_input({images, 64, 56, 56}, GetParam(), at::kCUDA);
    for (const Epilogue epilogue : all_epilogues) {
      const Results first = run(input, epilogue);
      const Results second = run(input, epilogue);
      EXPECT_TRUE(at::equal(first.y, second.y));
      EXPECT_TRUE(at::equal(first.dx, second.dx));
      EXPECT_TRUE(at::equal(first.dweight, second.dweight));
      EXPECT_TRUE(at::equal(first.dbias, second.dbias));
      EXPECT_TRUE(at::equal(first.running_mean, second.running_mean));
      EXPECT_TRUE(at::equal(first.running_var, second.running_var));
    }
  }
}

TEST_P(BatchNormOnAGpu, AcceptsNonContiguousGradients) {
  Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  const at::Tensor nchw = input.dy.contiguous();
  const at::Tensor expanded = input.dy.mean({2, 3}, /*keepdim=*/true).expand(input.dy.sizes());
  const at::Tensor strided = at::stack({input.dy, input.dy}, 4).select(4, 1);
  at::Tensor shifted = at::empty({input.dy.numel() + 1}, input.dy.options()).slice(0, 1);
  shifted = shifted.view({3, 5, 7, 64}).permute({0, 3, 1, 2});  // channels last, not aligned to 16 bytes
  shifted.copy_(input.dy);
  for (const at::Tensor& dy : {nchw, expanded, strided, shifted}) {
    input.dy = input.shortcut_dy = dy;
    for (const Epilogue epilogue : all_epilogues) {
      expect_near(run(input, epilogue), run(input.in_float64(), epilogue), rounding_of(GetParam()));
    }
  }
}

TEST_P(BatchNormOnAGpu, AcceptsTheGradientOfOneBranchOnly) {
  Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  input.dy.reset();
  expect_near(run(input, Epilogue::add_relu), run(input.in_float64(), Epilogue::add_relu), rounding_of(GetParam()));
  std::swap(input.shortcut_dy, input.dy);
  expect_near(run(input, Epilogue::add_relu), run(input.in_float64(), Epilogue::add_relu), rounding_of(GetParam()));
}

TEST_P(BatchNormOnAGpu, KeepsNaNAndMasksRoundedValues) {
  Input input = random_input({3, 8, 5, 7}, GetParam(), at::kCUDA);
  input.x[1][2][3][4] = NAN;
  for (const Epilogue epilogue : all_epilogues) {
    const Results actual = run(input, epilogue);
    for (const at::Tensor& tensor : {actual.y, actual.dx}) {
      EXPECT_TRUE(tensor.select(1, 2).isnan().all().item<bool>());
      EXPECT_EQ(tensor.isnan().sum().item<std::int64_t>(), 3 * 5 * 7);
    }
  }
  // Values that float16 rounds to zero have no gradient; float32 and bfloat16 can represent them.
  input = random_input({3, 8, 5, 7}, GetParam(), at::kCUDA);
  input.weight.fill_(1e-9);
  input.bias.fill_(0);
  EXPECT_EQ(run(input, Epilogue::relu).dbias.count_nonzero().item<std::int64_t>(), GetParam() == at::kHalf ? 0 : 8);
}

TEST_P(BatchNormOnAGpu, SkipsGradientsThatAreNotNeeded) {
  const Input input = random_input({16, 64, 56, 56}, GetParam(), at::kCUDA);
  for (const Epilogue epilogue : all_epilogues) {
    const Results all = run(input, epilogue);
    const Results actual = run(input, epilogue, /*input_has_gradient=*/false);
    EXPECT_FALSE(actual.dx.defined());
    expect_close(actual.dweight, all.dweight, 1e-5, "dweight");
    expect_close(actual.dbias, all.dbias, 1e-5, "dbias");
  }
  const at::Tensor expected = run(input, Epilogue::relu).y;
  const at::NoGradGuard no_grad;
  BatchNorm layer = layer_of(input);
  const at::Tensor y = layer->relu(input.x);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(at::equal(y, expected));
  EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 1);
}

TEST_P(BatchNormOnAGpu, FallsBackToLibTorchForUnsupportedInput) {
  const auto type = GetParam();
  const Input narrow = random_input({3, type == at::kFloat ? 6 : 12, 5, 7}, type, at::kCUDA);
  Input nchw = random_input({3, 16, 5, 7}, type, at::kCUDA);
  nchw.x = nchw.x.contiguous();
  for (const Input& input : {narrow, nchw}) {
    BatchNorm layer = layer_of(input);
    const at::Tensor y = static_cast<torch::nn::BatchNorm2dImpl&>(*layer).forward(input.x);
    EXPECT_TRUE(at::equal(layer->forward(input.x), y));
    EXPECT_TRUE(at::equal(layer->relu(input.x), y.relu()));
    EXPECT_TRUE(at::equal(layer->add_relu(input.x, input.residual).main, (y + input.residual).relu()));
    for (const Epilogue epilogue : all_epilogues)
      EXPECT_THAT(run(input, epilogue).node, Not(HasSubstr("FusedBatchNorm")));
  }
  const Input float64 = random_input({3, 16, 5, 7}, at::kDouble, at::kCUDA).in_float64();
  EXPECT_THAT(run(float64, Epilogue::add_relu).node, Not(HasSubstr("FusedBatchNorm")));
}

TEST_P(BatchNormOnAGpu, UsesTheRunningStatisticsInEvalMode) {
  const Input input = random_input({3, 64, 5, 7}, GetParam(), at::kCUDA);
  BatchNorm layer = layer_of(input);
  layer->relu(input.x);
  layer->eval();
  const at::NoGradGuard no_grad;
  const auto per_channel = [](const at::Tensor& tensor) { return tensor.to(at::kDouble).view({1, -1, 1, 1}); };
  const at::Tensor expected = (input.x.to(at::kDouble) - per_channel(layer->running_mean)) /
                                  (per_channel(layer->running_var) + 1e-5).sqrt() * per_channel(layer->weight) +
                              per_channel(layer->bias);
  expect_close(layer->relu(input.x), expected.relu(), rounding_of(GetParam()), "eval");
  EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 1);
}

TEST_P(BatchNormOnAGpu, AcceptsMoreThanTwoToThe31Values) {
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
    // The first row of each block is far from all others: the worst case for the blocks' sums.
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

TEST(BatchNorm, IsAccurateWithASmallVarianceAndALargeMean) {
  if (no_gpu()) GTEST_SKIP() << "needs a GPU";
  at::manual_seed(1);
  for (const std::int64_t images : {16, 48}) {
    Input input = random_input({images, 64, 56, 56}, at::kFloat, at::kCUDA);
    input.x = (1000 + input.x / 10).contiguous(at::MemoryFormat::ChannelsLast);
    const Results actual = run(input, Epilogue::relu);
    const Results expected = run(input.in_float64(), Epilogue::relu);
    expect_close(actual.running_var, expected.running_var, 1e-5, "running_var");
    expect_close(actual.y, expected.y, 1e-3,
                 "y");  // float32 holds a mean of 1000 to 3e-5, in units of the deviation 0.3 to 1e-4
    // Outliers in the first and last row of pixels.
    input.x.select(2, 0).fill_(0);
    input.x.select(2, 55).fill_(0);
    expect_close(run(input, Epilogue::relu).running_var, run(input.in_float64(), Epilogue::relu).running_var, 1e-5,
                 "running_var with outliers");
  }
}

}  // namespace
}  // namespace trainyard
