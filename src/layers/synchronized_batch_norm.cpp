#include "layers/synchronized_batch_norm.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/promote_types.h>
#include <ATen/ops/var_mean.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/modules/batchnorm.h>

namespace trainyard {
namespace {

// The gradient of a sum over processes is the sum of the gradients that it has in them.
class SumOverProcesses : public torch::autograd::Function<SumOverProcesses> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& tensor,
                            const AllReduce* all_reduce) {
    context->saved_data["all_reduce"] = reinterpret_cast<std::int64_t>(all_reduce);
    const at::Tensor sum = tensor.clone();
    (*all_reduce)(sum);
    return sum;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto* all_reduce = reinterpret_cast<const AllReduce*>(context->saved_data["all_reduce"].toInt());
    const at::Tensor sum = gradients[0].contiguous().clone();
    (*all_reduce)(sum);
    return {sum, {}};
  }
};

}  // namespace

at::Tensor synchronized_batch_norm(torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                   const AllReduce& all_reduce) {
  const std::int64_t channels = x.size(1);
  const at::Tensor values = x.to(at::promote_types(x.scalar_type(), at::kFloat));
  const auto [own_variance, own_mean] = at::var_mean(values, at::IntArrayRef{0, 2, 3}, /*correction=*/0);
  const double own_count = static_cast<double>(x.numel()) / static_cast<double>(channels);
  // In float64 the mean of squares less the squared mean is exact enough.
  const at::Tensor mean64 = own_mean.to(at::kDouble);
  const at::Tensor squares = own_variance.to(at::kDouble) + mean64 * mean64;
  const at::Tensor sums = SumOverProcesses::apply(
      at::cat({mean64 * own_count, squares * own_count, at::full({1}, own_count, mean64.options())}), &all_reduce);
  const at::Tensor count = sums[2 * channels];
  const at::Tensor mean = sums.narrow(0, 0, channels) / count;
  const at::Tensor variance = (sums.narrow(0, channels, channels) / count - mean * mean).clamp_min(0);
  {
    const at::NoGradGuard no_grad;
    const double momentum = layer.options.momentum().value_or(0.1);
    const at::Tensor unbiased = variance * (count / (count - 1));
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype()), momentum);
    layer.running_var.lerp_(unbiased.to(layer.running_var.dtype()), momentum);
    layer.num_batches_tracked.add_(1);
  }
  const auto per_channel = [&](const at::Tensor& tensor) {
    return tensor.to(values.dtype()).view({1, channels, 1, 1});
  };
  const at::Tensor scale = (variance + layer.options.eps()).rsqrt();
  const at::Tensor y = (values - per_channel(mean)) * per_channel(scale) * per_channel(layer.weight);
  return (y + per_channel(layer.bias)).to(x.dtype());
}

}  // namespace trainyard
