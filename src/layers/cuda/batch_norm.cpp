#include "layers/batch_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/batch_norm_kernel.h"
#include "layers/cuda/channels_last.h"
#include "layers/cuda/pooling.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One value per channel has no variance: left to LibTorch, which reports it.
bool applies(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x, const std::optional<at::Tensor>& residual) {
  const auto& options = layer.options;
  if (!layer.is_training() || !options.momentum() || !options.affine() || !options.track_running_stats()) return false;
  if (!takes_kernels(x) || x.numel() < 2 * x.size(1)) return false;
  if (residual &&
      (residual->sizes() != x.sizes() || residual->dtype() != x.dtype() || residual->device() != x.device())) {
    return false;
  }
  const auto serves = [&](const at::Tensor& tensor, std::int64_t numel, at::ScalarType type = at::kFloat) {
    return tensor.scalar_type() == type && tensor.device() == x.device() && tensor.is_contiguous() &&
           tensor.numel() == numel;
  };
  return serves(layer.weight, x.size(1)) && serves(layer.bias, x.size(1)) && serves(layer.running_mean, x.size(1)) &&
         serves(layer.running_var, x.size(1)) && serves(layer.num_batches_tracked, 1, at::kLong);
}

at::Tensor uninitialized(const at::Tensor& x, at::IntArrayRef sizes, at::ScalarType type) {
  return at::empty(sizes, x.options().dtype(type).memory_format(std::nullopt));
}
at::Tensor floats(const at::Tensor& x, at::IntArrayRef sizes) { return uninitialized(x, sizes, at::kFloat); }
at::Tensor doubles(const at::Tensor& x, at::IntArrayRef sizes) { return uninitialized(x, sizes, at::kDouble); }

std::optional<Pooling> pooling_for(const at::Tensor& x) {
  return pooling_of(x, /*size=*/3, /*stride=*/2, /*padding=*/1);
}

at::Tensor pooled(const at::Tensor& x, const Pooling& pooling, at::ScalarType type) {
  return at::empty({x.size(0), x.size(1), pooling.out_height, pooling.out_width}, x.options().dtype(type),
                   at::MemoryFormat::ChannelsLast);
}

class FusedBatchNorm : public torch::autograd::Function<FusedBatchNorm> {
 public:
  // Returns the result; with a residual or pooling, returns it twice.
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const std::optional<at::Tensor>& residual,
                               const at::Tensor& weight, const at::Tensor& bias,
                               const torch::nn::BatchNorm2dImpl& layer, bool relu,
                               const std::optional<Pooling>& pooling, const AllReduce* all_reduce,
                               const std::optional<at::Tensor>& sums) {
    const c10::cuda::CUDAGuard on_device(x.device());
    const Activations shape = shape_of(x);
    const at::Tensor y = pooling ? pooled(x, *pooling, x.scalar_type()) : at::empty_like(x);
    const at::Tensor statistics = floats(x, {2, x.size(1)});
    const at::Tensor workspace = floats(x, {batch_norm_workspace(shape)});
    BatchNormForward params{.x = x.const_data_ptr(),
                            .y = y.mutable_data_ptr(),
                            .relu = relu,
                            .weight = weight.const_data_ptr<float>(),
                            .bias = bias.const_data_ptr<float>(),
                            .eps = static_cast<float>(layer.options.eps()),
                            .momentum = static_cast<float>(*layer.options.momentum()),
                            .running_mean = layer.running_mean.mutable_data_ptr<float>(),
                            .running_variance = layer.running_var.mutable_data_ptr<float>(),
                            .batches = layer.num_batches_tracked.mutable_data_ptr<std::int64_t>(),
                            .mean = statistics.mutable_data_ptr<float>(),
                            .rstd = statistics.mutable_data_ptr<float>() + x.size(1),
                            .workspace = workspace.mutable_data_ptr<float>()};
    const bool returns_twice = residual || pooling;
    at::Tensor added, relu_mask, maxima, argmax;
    if (returns_twice) {
      relu_mask = uninitialized(x, {y.numel() * y.element_size() / 16}, at::kByte);
      params.relu_mask = relu_mask.mutable_data_ptr<std::uint8_t>();
    }
    if (residual) {
      added = for_kernels(*residual);
      params.residual = added.const_data_ptr();
    }
    if (pooling) {
      maxima = at::empty_like(y);
      argmax = pooled(x, *pooling, at::kByte);
      params.maxima = maxima.mutable_data_ptr();
      params.argmax = argmax.mutable_data_ptr<std::uint8_t>();
    }
    if (sums) params.sums = sums->const_data_ptr<float>();
    const auto stream = c10::cuda::getCurrentCUDAStream();
    at::Tensor moments;
    if (all_reduce != nullptr) {
      moments = doubles(x, {2 * x.size(1) + 1});
      C10_CUDA_CHECK(launch_batch_norm_moments(
          shape, {.x = params.x, .moments = moments.mutable_data_ptr<double>(), .workspace = params.workspace},
          stream));
      (*all_reduce)(moments);
      params.moments = moments.const_data_ptr<double>();
      context->saved_data["all_reduce"] = saved(*all_reduce);
    }
    C10_CUDA_CHECK(pooling ? launch_batch_norm_pool(*pooling, params, stream)
                           : launch_batch_norm(shape, params, stream));
    context->saved_data["relu"] = relu;
    context->set_materialize_grads(false);
    context->save_for_backward({x, weight, bias, statistics, relu_mask, moments, maxima, argmax});
    return returns_twice ? variable_list{y, y.variable_data()} : variable_list{y};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a fused batch norm has no second derivative");
    std::erase_if(gradients, [](const at::Tensor& gradient) { return !gradient.defined(); });
    if (gradients.empty()) return variable_list(9);
    for (at::Tensor& gradient : gradients) gradient = for_kernels(gradient);
    const variable_list kept = context->get_saved_variables();
    const at::Tensor &x = kept[0], &weight = kept[1], &bias = kept[2], &statistics = kept[3], &relu_mask = kept[4],
                     &moments = kept[5], &maxima = kept[6], &argmax = kept[7];
    const bool pools = maxima.defined();
    const at::Tensor& summed = pools ? maxima : x;
    const c10::cuda::CUDAGuard on_device(x.device());
    const Activations shape = shape_of(summed);
    const at::Tensor dweight = at::empty_like(weight);
    const at::Tensor dbias = at::empty_like(bias);
    const at::Tensor workspace = floats(x, {batch_norm_workspace(shape)});
    BatchNormBackward params{.dy = gradients[0].const_data_ptr(),
                             .x = summed.const_data_ptr(),
                             .relu = context->saved_data["relu"].toBool(),
                             .weight = weight.const_data_ptr<float>(),
                             .bias = bias.const_data_ptr<float>(),
                             .mean = statistics.const_data_ptr<float>(),
                             .rstd = statistics.const_data_ptr<float>() + x.size(1),
                             .dweight = dweight.mutable_data_ptr<float>(),
                             .dbias = dbias.mutable_data_ptr<float>(),
                             .batch = shape_of(x).rows,
                             .workspace = workspace.mutable_data_ptr<float>()};
    at::Tensor masked_dy;
    if (relu_mask.defined()) {
      masked_dy = at::empty_like(summed);
      params.relu_mask = relu_mask.const_data_ptr<std::uint8_t>();
      params.masked_dy = masked_dy.mutable_data_ptr();
      if (gradients.size() == 2) params.dy_extra = gradients[1].const_data_ptr();
    }
    at::Tensor dx;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(x);
      params.dx = dx.mutable_data_ptr();
    }
    at::Tensor sums;
    if (moments.defined()) {
      sums = doubles(x, {2 * x.size(1)});
      params.sums = sums.mutable_data_ptr<double>();
      params.rows = moments.const_data_ptr<double>() + 2 * x.size(1);
    }
    const auto stream = c10::cuda::getCurrentCUDAStream();
    C10_CUDA_CHECK(launch_batch_norm_sums(shape, params, stream));
    if (sums.defined()) all_reduce_of(context->saved_data["all_reduce"])(sums);
    if (dx.defined()) {
      params.x = x.const_data_ptr();
      if (pools) params.argmax = argmax.const_data_ptr<std::uint8_t>();
      C10_CUDA_CHECK(pools ? launch_batch_norm_pool(pooling_for(x).value(), params, stream)
                           : launch_batch_norm_dx(shape, params, stream));
    }
    return {dx, pools ? at::Tensor() : masked_dy, dweight, dbias, {}, {}, {}, {}, {}};
  }
};

}  // namespace

std::optional<Branches> fused_batch_norm(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                         const std::optional<at::Tensor>& residual, bool relu,
                                         const AllReduce* all_reduce, const std::optional<at::Tensor>& sums) {
  if (!applies(layer, x, residual)) return std::nullopt;
  const variable_list y = FusedBatchNorm::apply(x, residual, layer.weight, layer.bias, layer, relu,
                                                /*pooling=*/std::optional<Pooling>(), all_reduce, sums);
  return Branches{.main = y[0], .shortcut = residual ? y[1] : at::Tensor()};
}

std::optional<Branches> fused_batch_norm_pool(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                              const AllReduce* all_reduce, const std::optional<at::Tensor>& sums) {
  const std::optional<at::Tensor> no_residual;
  if (!applies(layer, x, no_residual)) return std::nullopt;
  const std::optional<Pooling> pooling = pooling_for(x);
  if (!pooling) return std::nullopt;
  const variable_list y = FusedBatchNorm::apply(x, no_residual, layer.weight, layer.bias, layer,
                                                /*relu=*/true, pooling, all_reduce, sums);
  return Branches{.main = y[0], .shortcut = y[1]};
}

}  // namespace trainyard
