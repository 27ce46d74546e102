// Compares with the layers called one after the other: on the CPU bit for bit, on a GPU with the same layers in
// float64.

#include "layers/conv_norm.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>

#include "layers/fused.h"
#include "support/expect_close.h"
#include "support/measuring_on_a_gpu.h"
#include "training/cuda_graph.h"
#include "training/precision.h"

namespace trainyard {
namespace {

enum class Epilogue { none, relu, add_relu };

constexpr Epilogue all_epilogues[] = {Epilogue::none, Epilogue::relu, Epilogue::add_relu};

struct Shape {
  std::int64_t images, in, out, height, width, kernel, stride = 1, dilation = 1;

  std::string text() const {
    return fmt::format("{} images of {} × {} × {} to {}, {} × {}, stride {}, dilation {}", images, in, height, width,
                       out, kernel, kernel, stride, dilation);
  }
};

struct Layers {
  torch::nn::Conv2d conv{nullptr};
  BatchNorm norm{nullptr};
};

Layers layers_of(const Shape& shape, at::Device device, at::ScalarType conv_type) {
  Layers layers{.conv = torch::nn::Conv2d(torch::nn::Conv2dOptions(shape.in, shape.out, shape.kernel)
                                              .stride(shape.stride)
                                              .padding(shape.kernel / 2 * shape.dilation)
                                              .dilation(shape.dilation)
                                              .bias(false)),
                .norm = BatchNorm(shape.out)};
  layers.conv->to(device, conv_type);
  layers.norm->to(device);
  const at::NoGradGuard no_grad;
  layers.norm->weight.copy_(at::rand({shape.out}) + 0.5);
  layers.norm->bias.copy_(at::randn({shape.out}));
  return layers;
}

// The same parameters in float64.
Layers in_float64(const Shape& shape, const Layers& layers) {
  Layers copy = layers_of(shape, layers.conv->weight.device(), at::kDouble);
  copy.norm->to(at::kDouble);
  const at::NoGradGuard no_grad;
  copy.conv->weight.copy_(layers.conv->weight);
  copy.norm->weight.copy_(layers.norm->weight);
  copy.norm->bias.copy_(layers.norm->bias);
  return copy;
}

at::Tensor activations(at::IntArrayRef sizes, at::Device device, at::ScalarType type) {
  return at::randn(sizes).to(device, type).contiguous(at::MemoryFormat::ChannelsLast);
}

struct Input {
  at::Tensor x, residual, dy;
};

// No gradient where rounding may change the ReLU's mask.
Input random_input(const Shape& shape, const Layers& layers) {
  const at::Device device = layers.conv->weight.device();
  const at::ScalarType type = layers.conv->weight.scalar_type();
  Input input{.x = activations({shape.images, shape.in, shape.height, shape.width}, device, type)};
  const at::NoGradGuard no_grad;
  Layers exact = in_float64(shape, layers);
  const at::Tensor y = exact.norm(exact.conv(input.x.to(at::kDouble)));
  input.residual = activations(y.sizes(), device, type);
  const at::Tensor certain = (y.abs() > 0.02).logical_and((y + input.residual).abs() > 0.02);
  input.dy = activations(y.sizes(), device, type) * certain;
  return input;
}

struct Results {
  at::Tensor y, dx, dresidual, dfilter, dweight, dbias, running_mean, running_var;
};

Results run(Layers layers, const Input& input, Epilogue epilogue) {
  const at::Tensor x = input.x.detach().requires_grad_();
  const at::Tensor residual = input.residual.detach().requires_grad_();
  const at::Tensor y = epilogue == Epilogue::none   ? conv_norm(layers.conv, layers.norm, x)
                       : epilogue == Epilogue::relu ? conv_norm_relu(layers.conv, layers.norm, x)
                                                    : conv_norm_add_relu(layers.conv, layers.norm, x, residual).main;
  for (const at::Tensor& parameter : layers.conv->parameters()) parameter.mutable_grad().reset();
  for (const at::Tensor& parameter : layers.norm->parameters()) parameter.mutable_grad().reset();
  y.backward(input.dy.to(y.scalar_type()));
  return {.y = y.detach(),
          .dx = x.grad(),
          .dresidual = residual.grad(),
          .dfilter = layers.conv->weight.grad(),
          .dweight = layers.norm->weight.grad(),
          .dbias = layers.norm->bias.grad(),
          .running_mean = layers.norm->running_mean,
          .running_var = layers.norm->running_var};
}

Results run_in_float64(const Shape& shape, const Layers& layers, const Input& input, Epilogue epilogue) {
  return run(in_float64(shape, layers),
             {input.x.to(at::kDouble), input.residual.to(at::kDouble), input.dy.to(at::kDouble)}, epilogue);
}

// Two roundings to float16: of the convolution's output and of the result.
void expect_near(const Results& actual, const Results& expected) {
  constexpr double tolerance = 1e-3;
  expect_close(actual.y, expected.y, tolerance, "y");
  expect_close(actual.dx, expected.dx, tolerance, "dx");
  expect_close(actual.dresidual, expected.dresidual, tolerance, "dresidual");
  expect_close(actual.dfilter, expected.dfilter, tolerance, "dfilter");
  expect_close(actual.dweight, expected.dweight, tolerance, "dweight");
  expect_close(actual.dbias, expected.dbias, tolerance, "dbias");
  expect_close(actual.running_mean, expected.running_mean, tolerance, "running_mean");
  expect_close(actual.running_var, expected.running_var, tolerance, "running_var");
}

void expect_same_bits(const Results& actual, const Results& expected) {
  EXPECT_TRUE(at::equal(actual.y, expected.y));
  EXPECT_TRUE(at::equal(actual.dx, expected.dx));
  EXPECT_TRUE(at::equal(actual.dfilter, expected.dfilter));
  EXPECT_TRUE(at::equal(actual.dweight, expected.dweight));
  EXPECT_TRUE(at::equal(actual.dbias, expected.dbias));
}

TEST(ConvNorm, CallsTheLayersOnTheCpu) {
  at::manual_seed(1);
  const Shape shape{.images = 3, .in = 8, .out = 16, .height = 5, .width = 7, .kernel = 3};
  for (const bool training : {true, false}) {
    Layers layers = layers_of(shape, at::kCPU, at::kFloat);
    layers.norm->train(training);
    const Input input = random_input(shape, layers);
    const auto with_new_statistics = [&](const auto& call) {
      layers.norm->reset_running_stats();
      return call();
    };
    const at::Tensor y = with_new_statistics([&] { return layers.norm(layers.conv(input.x)); });
    EXPECT_TRUE(at::equal(with_new_statistics([&] { return conv_norm(layers.conv, layers.norm, input.x); }), y));
    EXPECT_TRUE(
        at::equal(with_new_statistics([&] { return conv_norm_relu(layers.conv, layers.norm, input.x); }), y.relu()));
    const auto add_relu = [&] { return conv_norm_add_relu(layers.conv, layers.norm, input.x, input.residual).main; };
    EXPECT_TRUE(at::equal(with_new_statistics(add_relu), (y + input.residual).relu()));
  }
}

class ConvNormOnAGpu : public MeasuringOnAGpu<> {
 protected:
  // Large enough that the pass over the output takes as long as the convolution.
  static constexpr Shape wide{.images = 64, .in = 64, .out = 256, .height = 56, .width = 56, .kernel = 1};
};

TEST_F(ConvNormOnAGpu, MatchesFloat64UpToRounding) {
  for (const Shape& shape :
       {wide,
        {.images = 32, .in = 64, .out = 64, .height = 56, .width = 56, .kernel = 3},
        {.images = 32, .in = 256, .out = 512, .height = 28, .width = 28, .kernel = 1, .stride = 2},
        {.images = 9, .in = 32, .out = 72, .height = 33, .width = 17, .kernel = 3, .stride = 2},
        {.images = 5, .in = 24, .out = 40, .height = 19, .width = 23, .kernel = 3, .stride = 1, .dilation = 2},
        {.images = 16, .in = 3, .out = 64, .height = 64, .width = 64, .kernel = 7, .stride = 2},
        {.images = 2, .in = 8, .out = 8, .height = 9, .width = 9, .kernel = 1}}) {
    Layers layers = layers_of(shape, at::kCUDA, at::kHalf);
    const Input input = random_input(shape, layers);
    for (const Epilogue epilogue : all_epilogues) {
      SCOPED_TRACE(fmt::format("{}, epilogue {}", shape.text(), static_cast<int>(epilogue)));
      layers.norm->reset_running_stats();
      const Results actual = run(layers, input, epilogue);
      EXPECT_EQ(actual.y.scalar_type(), at::kHalf);
      EXPECT_TRUE(actual.y.is_contiguous(at::MemoryFormat::ChannelsLast));
      EXPECT_EQ(layers.norm->num_batches_tracked.item<std::int64_t>(), 1);
      expect_near(actual, run_in_float64(shape, layers, input, epilogue));
    }
  }
}

TEST_F(ConvNormOnAGpu, CastsLikeAutocast) {
  Layers layers = layers_of(wide, at::kCUDA, at::kFloat);
  const Input input = random_input(wide, layers);
  Results actual;
  {
    const Autocast autocast(Precision::fp16, at::kCUDA);
    actual = run(layers, input, Epilogue::relu);
  }
  EXPECT_EQ(actual.y.scalar_type(), at::kHalf);
  EXPECT_EQ(actual.dfilter.scalar_type(), at::kFloat);
  EXPECT_EQ(actual.dx.scalar_type(), at::kFloat);
  const Results expected = run_in_float64(wide, layers, input, Epilogue::relu);
  expect_close(actual.y, expected.y, 1e-3, "y");
  expect_close(actual.dx, expected.dx, 2e-3, "dx");
  expect_close(actual.dfilter, expected.dfilter, 2e-3, "dfilter");
}

TEST_F(ConvNormOnAGpu, ReplaysInACudaGraph) {
  Layers layers = layers_of(wide, at::kCUDA, at::kHalf);
  const Input input = random_input(wide, layers);
  const Input other = random_input(wide, layers);
  const Input captured{input.x.clone(), input.residual.clone(), input.dy.clone()};
  run(layers, input, Epilogue::add_relu);
  Results results;
  const auto graph = capture_cuda_graph(input.x.device(), [&] { results = run(layers, captured, Epilogue::add_relu); });
  for (const Input& one : {input, other}) {
    captured.x.copy_(one.x);
    captured.residual.copy_(one.residual);
    captured.dy.copy_(one.dy);
    layers.norm->reset_running_stats();
    graph->replay();
    expect_near(results, run_in_float64(wide, layers, one, Epilogue::add_relu));
  }
}

TEST_F(ConvNormOnAGpu, CapturesShapesThatItHasNotMeasured) {
  const Shape shape{.images = 33, .in = 64, .out = 128, .height = 29, .width = 29, .kernel = 1};
  Layers layers = layers_of(shape, at::kCUDA, at::kHalf);
  const Input input = random_input(shape, layers);
  at::globalContext().setBenchmarkCuDNN(false);
  const Results expected = run(layers, input, Epilogue::relu);
  at::globalContext().setBenchmarkCuDNN(true);
  std::optional<SummedConvolution> convolved;
  const auto graph =
      capture_cuda_graph(input.x.device(), [&] { convolved = fused_convolution(*layers.conv, input.x); });
  EXPECT_FALSE(convolved.has_value());
}

TEST_F(ConvNormOnAGpu, NeedsNoGradient) {
  Layers layers = layers_of(wide, at::kCUDA, at::kHalf);
  const Input input = random_input(wide, layers);
  const at::Tensor expected = run(layers, input, Epilogue::relu).y;
  const at::NoGradGuard no_grad;
  Layers same = layers;
  const at::Tensor y = conv_norm_relu(same.conv, same.norm, input.x);
  EXPECT_FALSE(y.requires_grad());
  expect_close(y, expected, 1e-3, "y");
}

TEST_F(ConvNormOnAGpu, CallsTheLayersInDeterministicMode) {
  Layers layers = layers_of(wide, at::kCUDA, at::kHalf);
  const Input input = random_input(wide, layers);
  at::globalContext().setDeterministicCuDNN(true);
  EXPECT_FALSE(fused_convolution(*layers.conv, input.x));
  expect_same_bits(run(layers, input, Epilogue::relu), run(layers, input, Epilogue::relu));
  at::globalContext().setDeterministicCuDNN(false);
  at::globalContext().setBenchmarkCuDNN(false);
  EXPECT_FALSE(fused_convolution(*layers.conv, input.x));
}

TEST_F(ConvNormOnAGpu, CallsTheLayersForWhatHasNoFusedKernel) {
  const at::Tensor x = activations({4, 64, 14, 14}, at::kCUDA, at::kHalf);
  const auto convolution = [](const torch::nn::Conv2dOptions& options, at::ScalarType type = at::kHalf) {
    torch::nn::Conv2d conv(options);
    conv->to(at::kCUDA, type);
    return conv;
  };
  const auto bare = [] { return torch::nn::Conv2dOptions(64, 64, 3).padding(1).bias(false); };
  EXPECT_FALSE(fused_convolution(*convolution(bare(), at::kFloat), x.to(at::kFloat)));
  EXPECT_FALSE(fused_convolution(*convolution(bare(), at::kBFloat16), x.to(at::kBFloat16)));
  EXPECT_FALSE(fused_convolution(*convolution(bare()), x.contiguous()));
  const at::Tensor shifted = at::empty({x.numel() + 1}, x.options()).slice(0, 1).view({4, 14, 14, 64});
  EXPECT_FALSE(fused_convolution(*convolution(bare()), shifted.permute({0, 3, 1, 2}))) << "not aligned to 16 bytes";
  EXPECT_FALSE(fused_convolution(*convolution(bare().bias(true)), x));
  EXPECT_FALSE(fused_convolution(*convolution(bare().groups(4)), x));
  EXPECT_FALSE(fused_convolution(*convolution(bare().padding(torch::kSame)), x));
  EXPECT_FALSE(fused_convolution(*convolution(bare().padding_mode(torch::kReflect)), x));
  EXPECT_FALSE(fused_convolution(*convolution(torch::nn::Conv2dOptions(64, 12, 1).bias(false)), x));
  const Autocast autocast(Precision::fp16, at::kCUDA);
  EXPECT_FALSE(fused_convolution(*convolution(bare(), at::kDouble), x.to(at::kDouble)));
}

}  // namespace
}  // namespace trainyard
