#include "layers/conv_norm.h"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>

#include <ATen/Context.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/autocast.h"
#include "layers/cuda/batch_norm_kernel.h"
#include "layers/cuda/channels_last.h"
#include "layers/cuda/convolution_plan.h"
#include "layers/cuda/least_time.h"
#include "layers/cuda/rows.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The shape of conv(x), if a fused kernel may exist for it.
std::optional<ConvolutionShape> shape_for(const torch::nn::Conv2dImpl& conv, const at::Tensor& x) {
  const auto& options = conv.options;
  const auto* const padding = std::get_if<torch::ExpandingArray<2>>(&options.padding());
  if (padding == nullptr || !std::holds_alternative<torch::enumtype::kZeros>(options.padding_mode()) ||
      options.groups() != 1 || options.bias() || x.dim() != 4 || x.size(1) != conv.weight.size(1) || x.numel() == 0 ||
      !x.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return std::nullopt;
  }
  ConvolutionShape shape{
      .x{}, .w{}, .y{}, .stride = *options.stride(), .padding = **padding, .dilation = *options.dilation()};
  std::copy_n(x.sizes().begin(), 4, shape.x.begin());
  std::copy_n(conv.weight.sizes().begin(), 4, shape.w.begin());
  shape.y = {x.size(0), conv.weight.size(0), 0, 0};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t filter = shape.dilation[i] * (shape.w[i + 2] - 1) + 1;
    const std::int64_t free = shape.x[i + 2] + 2 * shape.padding[i] - filter;
    if (free < 0) return std::nullopt;
    shape.y[i + 2] = free / shape.stride[i] + 1;
  }
  return shape;
}

// Whether it is a convolution of float16 values on a GPU, and what is fastest may differ from run to run.
bool may_measure(const torch::nn::Conv2dImpl& conv, const at::Tensor& x) {
  if (!x.is_cuda() || conv.weight.device() != x.device()) return false;
  const at::Context& context = at::globalContext();
  if (!context.userEnabledCuDNN() || !context.benchmarkCuDNN() || context.deterministicCuDNN()) return false;
  const auto becomes_half = [](const at::Tensor& tensor) {
    return autocast_type(tensor.scalar_type()) == at::kHalf && begins_at_a_vector(tensor);
  };
  return becomes_half(x) && becomes_half(conv.weight);
}

at::Tensor uninitialized(const at::Tensor& x, at::IntArrayRef sizes, at::ScalarType type,
                         std::optional<at::MemoryFormat> format = std::nullopt) {
  return at::empty(sizes, x.options().dtype(type).memory_format(format));
}

SummedConvolution run(const ConvolutionPlan& plan, const ConvolutionShape& shape, const at::Tensor& x,
                      const at::Tensor& weight) {
  const at::Tensor w = weight.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor y = uninitialized(x, shape.y, at::kHalf, at::MemoryFormat::ChannelsLast);
  const at::Tensor sums = uninitialized(x, {2, shape.y[1]}, at::kFloat);
  const at::Tensor workspace = uninitialized(x, {plan.workspace()}, at::kByte);
  plan.run({.x = x.const_data_ptr(),
            .w = w.const_data_ptr(),
            .y = y.mutable_data_ptr(),
            .sum = sums.mutable_data_ptr<float>(),
            .square_sum = sums.mutable_data_ptr<float>() + shape.y[1],
            .workspace = workspace.mutable_data_ptr()});
  return {y, sums};
}

at::Tensor convolve(const ConvolutionShape& shape, const at::Tensor& x, const at::Tensor& weight) {
  return at::convolution(x, weight, /*bias=*/{}, shape.stride, shape.padding, shape.dilation, /*transposed=*/false,
                         /*output_padding=*/{0, 0}, /*groups=*/1);
}

// What a batch norm launches for the output of a convolution.
void normalize(const SummedConvolution& convolved) {
  const Activations shape = shape_of(convolved.y);
  const at::Tensor y = at::empty_like(convolved.y);
  const at::Tensor values = uninitialized(y, {6, shape.C}, at::kFloat);
  const at::Tensor batches = uninitialized(y, {1}, at::kLong);
  const at::Tensor workspace = uninitialized(y, {batch_norm_workspace(shape)}, at::kFloat);
  const auto channels = [&](std::int64_t i) { return values.mutable_data_ptr<float>() + i * shape.C; };
  BatchNormForward params{.x = convolved.y.const_data_ptr(),
                          .y = y.mutable_data_ptr(),
                          .relu = true,
                          .weight = channels(0),
                          .bias = channels(1),
                          .eps = 1,
                          .momentum = 1,
                          .running_mean = channels(2),
                          .running_variance = channels(3),
                          .batches = batches.mutable_data_ptr<std::int64_t>(),
                          .mean = channels(4),
                          .rstd = channels(5),
                          .workspace = workspace.mutable_data_ptr<float>()};
  if (convolved.sums.defined()) params.sums = convolved.sums.const_data_ptr<float>();
  C10_CUDA_CHECK(launch_batch_norm(shape, params, c10::cuda::getCurrentCUDAStream()));
}

// The fastest way to convolve and to normalize the output, measured once per shape and device. Plans are not
// thread-safe: the caller holds `mutex` while it uses one.
class FastestPlans {
 public:
  using Measured = std::map<std::pair<ConvolutionShape, at::DeviceIndex>, std::optional<ConvolutionPlan>>;

  // Null if LibTorch's convolution and a norm that sums up its output are faster, or if nothing is known.
  const ConvolutionPlan* of(const ConvolutionShape& shape, const at::Tensor& x, const at::Tensor& weight) {
    const std::pair key(shape, x.device().index());
    auto found = measured_.find(key);
    if (found == measured_.end()) {
      if (is_capturing(x.device())) return nullptr;
      found = measured_.emplace(key, fastest(shape, product_operand(x), product_operand(weight))).first;
    }
    return found->second ? &*found->second : nullptr;
  }

  std::mutex mutex;

 private:
  static std::optional<ConvolutionPlan> fastest(const ConvolutionShape& shape, const at::Tensor& x,
                                                const at::Tensor& weight) {
    const at::NoGradGuard no_grad;
    std::optional<ConvolutionPlan> best;
    float least = std::numeric_limits<float>::infinity();
    for (ConvolutionPlan& plan : ConvolutionPlan::recommended(shape)) {
      const float time = least_time([&] { normalize(run(plan, shape, x, weight)); });
      if (time >= least) continue;
      least = time;
      best = std::move(plan);
    }
    if (best && least_time([&] { normalize({convolve(shape, x, weight), {}}); }) <= least) best.reset();
    return best;
  }

  Measured measured_;
};

FastestPlans& fastest_plans() {
  static FastestPlans plans;
  return plans;
}

class FusedConvolution : public torch::autograd::Function<FusedConvolution> {
 public:
  // Returns y and the sums.
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                               const ConvolutionShape& shape, const ConvolutionPlan& plan) {
    const SummedConvolution result = run(plan, shape, x, weight);
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = std::vector<std::int64_t>(shape.stride.begin(), shape.stride.end());
    context->saved_data["padding"] = std::vector<std::int64_t>(shape.padding.begin(), shape.padding.end());
    context->saved_data["dilation"] = std::vector<std::int64_t>(shape.dilation.begin(), shape.dilation.end());
    context->mark_non_differentiable({result.sums});
    context->set_materialize_grads(false);
    return {result.y, result.sums};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    if (!gradients[0].defined()) return variable_list(4);
    const variable_list kept = context->get_saved_variables();
    const auto saved = [&](const char* name) { return context->saved_data[name].toIntVector(); };
    const auto [dx, dweight, dbias] = at::convolution_backward(
        gradients[0], kept[0], kept[1], /*bias_sizes=*/at::OptionalIntArrayRef(), saved("stride"), saved("padding"),
        saved("dilation"), /*transposed=*/false, /*output_padding=*/{0, 0}, /*groups=*/1,
        {context->needs_input_grad(0), context->needs_input_grad(1), false});
    return {dx, dweight, {}, {}};
  }
};

}  // namespace

std::optional<SummedConvolution> fused_convolution(const torch::nn::Conv2dImpl& conv, const at::Tensor& x) {
  if (!may_measure(conv, x)) return std::nullopt;
  const std::optional<ConvolutionShape> shape = shape_for(conv, x);
  if (!shape || shape->y[1] % 8 != 0) return std::nullopt;
  const c10::cuda::CUDAGuard on_device(x.device());
  FastestPlans& plans = fastest_plans();
  const std::lock_guard lock(plans.mutex);
  const ConvolutionPlan* const plan = plans.of(*shape, x, conv.weight);
  if (plan == nullptr) return std::nullopt;
  const variable_list results =
      FusedConvolution::apply(product_operand(x), product_operand(conv.weight), *shape, *plan);
  return SummedConvolution{.y = results[0], .sums = results[1]};
}

}  // namespace trainyard
