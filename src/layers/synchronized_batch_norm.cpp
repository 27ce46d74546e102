#include "layers/synchronized_batch_norm.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/promote_types.h>
#include <ATen/ops/var_mean.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/modules/batchnorm.h>

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Over samples, height and width.
at::Tensor sum_per_channel(const at::Tensor& x) { return x.sum({0, 2, 3}, /*keepdim=*/false, at::kDouble); }

at::Tensor per_channel(const at::Tensor& values, const at::Tensor& like) {
  return values.to(like.scalar_type()).view({1, values.size(0), 1, 1});
}

void update_running_statistics(torch::nn::BatchNorm2dImpl& layer, const at::Tensor& mean, const at::Tensor& variance,
                               const at::Tensor& count) {
  const double momentum = layer.options.momentum().value_or(0.1);
  const at::Tensor unbiased = variance * (count / (count - 1));
  layer.running_mean.lerp_(mean.to(layer.running_mean.dtype()), momentum);
  layer.running_var.lerp_(unbiased.to(layer.running_var.dtype()), momentum);
  layer.num_batches_tracked.add_(1);
}

class SynchronizedBatchNorm : public torch::autograd::Function<SynchronizedBatchNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, torch::nn::BatchNorm2dImpl& layer, const AllReduce& all_reduce) {
    const std::int64_t channels = x.size(1);
    const at::Tensor values = x.to(at::promote_types(x.scalar_type(), at::kFloat));
    const auto [own_variance, own_mean] = at::var_mean(values, at::IntArrayRef{0, 2, 3}, /*correction=*/0.0);
    const double own_count = static_cast<double>(x.numel()) / static_cast<double>(channels);
    const at::Tensor mean64 = own_mean.to(at::kDouble);
    // In float64, the mean of squares minus the squared mean is precise enough.
    const at::Tensor squares = own_variance.to(at::kDouble) + mean64 * mean64;
    const at::Tensor moments =
        at::cat({mean64 * own_count, squares * own_count, at::full({1}, own_count, mean64.options())});
    all_reduce(moments);
    const at::Tensor count = moments[2 * channels];
    const at::Tensor mean = moments.narrow(0, 0, channels) / count;
    const at::Tensor variance = (moments.narrow(0, channels, channels) / count - mean * mean).clamp_min(0);
    update_running_statistics(layer, mean, variance, count);
    const at::Tensor rstd = (variance + layer.options.eps()).rsqrt();
    context->saved_data["all_reduce"] = saved(all_reduce);
    context->save_for_backward({x, weight, mean, rstd, count});
    const at::Tensor scale = rstd * weight;
    return ((values - per_channel(mean, values)) * per_channel(scale, values) + per_channel(bias, values))
        .to(x.dtype());
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a synchronized batch norm has no second derivative");
    const variable_list kept = context->get_saved_variables();
    const at::Tensor &x = kept[0], &weight = kept[1], &mean = kept[2], &rstd = kept[3], &count = kept[4];
    const at::Tensor values = x.to(at::promote_types(x.scalar_type(), at::kFloat));
    const at::Tensor dy = gradients[0].to(values.dtype());
    const at::Tensor centered = values - per_channel(mean, values);
    const at::Tensor dbias = sum_per_channel(dy);
    const at::Tensor dy_x = sum_per_channel(dy * centered);
    const at::Tensor sums = at::cat({dbias, dy_x});
    all_reduce_of(context->saved_data["all_reduce"])(sums);
    const std::int64_t channels = x.size(1);
    const at::Tensor mean_dy = sums.narrow(0, 0, channels) / count;
    const at::Tensor slope = sums.narrow(0, channels, channels) / count * rstd * rstd;
    const at::Tensor dx = (dy - per_channel(mean_dy, values) - centered * per_channel(slope, values)) *
                          per_channel(rstd * weight, values);
    return {dx.to(x.dtype()), (dy_x * rstd).to(weight.dtype()), dbias.to(weight.dtype()), {}, {}};
  }
};

}  // namespace

c10::IValue saved(const AllReduce& all_reduce) {
  return c10::IValue::make_capsule(c10::make_intrusive<SavedAllReduce>(all_reduce));
}

const AllReduce& all_reduce_of(const c10::IValue& saved) {
  return dynamic_cast<const SavedAllReduce&>(*saved.toCapsule()).all_reduce;
}

at::Tensor synchronized_batch_norm(torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                   const AllReduce& all_reduce) {
  return SynchronizedBatchNorm::apply(x, layer.weight, layer.bias, layer, all_reduce);
}

}  // namespace trainyard
