#include "layers/batch_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/batch_norm_kernel.h"
#include "layers/cuda/channels_last.h"
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

class FusedBatchNorm : public torch::autograd::Function<FusedBatchNorm> {
 public:
  // Returns the result; with a residual, returns it twice.
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const std::optional<at::Tensor>& residual,
                               const at::Tensor& weight, const at::Tensor& bias,
                               const torch::nn::BatchNorm2dImpl& layer, bool relu, const AllReduce* all_reduce,
                               const std::optional<at::Tensor>& sums) {
    const c10::cuda::CUDAGuard on_device(x.device());
    const Activations shape = shape_of(x);
    const at::Tensor y = at::empty_like(x);
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
    at::Tensor added, relu_mask;
    if (residual) {
      added = for_kernels(*residual);
      relu_mask = uninitialized(x, {x.numel() * x.element_size() / 16}, at::kByte);
      params.residual = added.const_data_ptr();
      params.relu_mask = relu_mask.mutable_data_ptr<std::uint8_t>();
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
    C10_CUDA_CHECK(launch_batch_norm(shape, params, stream));
    context->saved_data["relu"] = relu;
    context->set_materialize_grads(false);
    context->save_for_backward({x, weight, bias, statistics, relu_mask, moments});
    return residual ? variable_list{y, y.variable_data()} : variable_list{y};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a fused batch norm has no second derivative");
    std::erase_if(gradients, [](const at::Tensor& gradient) { return !gradient.defined(); });
    if (gradients.empty()) return variable_list(8);
    for (at::Tensor& gradient : gradients) gradient = for_kernels(gradient);
    const variable_list kept = context->get_saved_variables();
    const at::Tensor &x = kept[0], &weight = kept[1], &bias = kept[2], &statistics = kept[3], &relu_mask = kept[4],
                     &moments = kept[5];
    const c10::cuda::CUDAGuard on_device(x.device());
    const Activations shape = shape_of(x);
    const at::Tensor dweight = at::empty_like(weight);
    const at::Tensor dbias = at::empty_like(bias);
    const at::Tensor workspace = floats(x, {batch_norm_workspace(shape)});
    BatchNormBackward params{.dy = gradients[0].const_data_ptr(),
                             .x = x.const_data_ptr(),
                             .relu = context->saved_data["relu"].toBool(),
                             .weight = weight.const_data_ptr<float>(),
                             .bias = bias.const_data_ptr<float>(),
                             .mean = statistics.const_data_ptr<float>(),
                             .rstd = statistics.const_data_ptr<float>() + x.size(1),
                             .dweight = dweight.mutable_data_ptr<float>(),
                             .dbias = dbias.mutable_data_ptr<float>(),
                             .workspace = workspace.mutable_data_ptr<float>()};
    at::Tensor dx, dresidual;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(x);
      params.dx = dx.mutable_data_ptr();
    }
    if (relu_mask.defined()) {
      dresidual = at::empty_like(x);
      params.relu_mask = relu_mask.const_data_ptr<std::uint8_t>();
      params.dresidual = dresidual.mutable_data_ptr();
      if (gradients.size() == 2) params.dy_extra = gradients[1].const_data_ptr();
    }
    const auto stream = c10::cuda::getCurrentCUDAStream();
    if (moments.defined()) {
      const at::Tensor sums = doubles(x, {2 * x.size(1)});
      params.sums = sums.mutable_data_ptr<double>();
      params.rows = moments.const_data_ptr<double>() + 2 * x.size(1);
      C10_CUDA_CHECK(launch_batch_norm_sums(shape, params, stream));
      all_reduce_of(context->saved_data["all_reduce"])(sums);
      if (dx.defined()) C10_CUDA_CHECK(launch_batch_norm_dx(shape, params, stream));
    } else {
      C10_CUDA_CHECK(launch_batch_norm(shape, params, stream));
    }
    return {dx, dresidual, dweight, dbias, {}, {}, {}, {}};
  }
};

}  // namespace

std::optional<Branches> fused_batch_norm(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                         const std::optional<at::Tensor>& residual, bool relu,
                                         const AllReduce* all_reduce, const std::optional<at::Tensor>& sums) {
  if (!applies(layer, x, residual)) return std::nullopt;
  const variable_list y = FusedBatchNorm::apply(x, residual, layer.weight, layer.bias, layer, relu, all_reduce, sums);
  return Branches{.main = y[0], .shortcut = residual ? y[1] : at::Tensor()};
}

}  // namespace trainyard
