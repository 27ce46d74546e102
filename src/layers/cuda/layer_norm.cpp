#include "layers/layer_norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/autocast.h"
#include "layers/cuda/layer_norm_kernel.h"
#include "layers/cuda/rows.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Of the branch and of the normalized sum.
at::ScalarType output_type() { return autocast_type(at::kFloat); }

// Mismatched shapes are left to LibTorch, which reports them.
bool applies(const torch::nn::LayerNormImpl& layer, const at::Tensor& x, const PendingAdd& pending) {
  const auto& shape = layer.options.normalized_shape();
  if (!x.is_cuda() || x.scalar_type() != at::kFloat || x.dim() == 0 || x.numel() == 0) return false;
  if (shape.size() != 1 || x.size(-1) != shape[0] || shape[0] % 4 != 0 || shape[0] > layer_norm_max_channels)
    return false;
  if (!element_of(output_type())) return false;
  const auto serves = [&](const at::Tensor& parameter) {
    return parameter.defined() && parameter.scalar_type() == at::kFloat && parameter.device() == x.device() &&
           parameter.sizes() == shape && parameter.is_contiguous() && begins_at_a_vector(parameter);
  };
  if (!serves(layer.weight) || !serves(layer.bias)) return false;
  const at::Tensor& added = pending.product;
  return !added.defined() || (added.sizes() == x.sizes() && added.scalar_type() == output_type() &&
                              added.device() == x.device() && serves(pending.bias));
}

Tokens tokens_of(const at::Tensor& x, at::ScalarType type) {
  return {.rows = x.numel() / x.size(-1), .C = static_cast<std::uint32_t>(x.size(-1)), .element = *element_of(type)};
}

at::Tensor floats(const at::Tensor& beside, at::IntArrayRef sizes) {
  return at::empty(sizes, beside.options().dtype(at::kFloat));
}

class FusedLayerNorm : public torch::autograd::Function<FusedLayerNorm> {
 public:
  // Positions among the inputs that may need a gradient.
  enum Input : std::uint8_t { x_input, weight_input, bias_input, branch_input, branch_bias_input };

  // Returns the sum and the normalized sum. `branch` and `branch_bias`: both or neither.
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                               const at::Tensor& bias, const std::optional<at::Tensor>& branch,
                               const std::optional<at::Tensor>& branch_bias, double eps, at::ScalarType type) {
    const c10::cuda::CUDAGuard on_device(x.device());
    const Tokens tokens = tokens_of(x, type);
    const at::Tensor y = at::empty_like(x, type);
    const at::Tensor statistics = floats(x, {2, tokens.rows});
    LayerNormForward params{.x = x.const_data_ptr<float>(),
                            .weight = weight.const_data_ptr<float>(),
                            .bias = bias.const_data_ptr<float>(),
                            .eps = static_cast<float>(eps),
                            .y = y.mutable_data_ptr(),
                            .mean = statistics.mutable_data_ptr<float>(),
                            .rstd = statistics.mutable_data_ptr<float>() + tokens.rows};
    at::Tensor sum = x;
    if (branch) {
      sum = at::empty_like(x);
      params.branch = branch->const_data_ptr();
      params.branch_bias = branch_bias->const_data_ptr<float>();
      params.sum = sum.mutable_data_ptr<float>();
    }
    C10_CUDA_CHECK(launch_layer_norm(tokens, params, c10::cuda::getCurrentCUDAStream()));
    context->saved_data["type"] = type;
    context->saved_data["adds"] = branch.has_value();
    context->set_materialize_grads(false);
    context->save_for_backward({sum, weight, statistics});
    return {branch ? sum : x.variable_data(), y};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a fused layer norm has no second derivative");
    const auto type = context->saved_data["type"].toScalarType();
    const bool adds = context->saved_data["adds"].toBool();
    const at::Tensor dsum = gradients[0].defined() ? rows_of(gradients[0]) : at::Tensor();
    if (!gradients[1].defined()) {
      if (!adds || !dsum.defined()) return {dsum, {}, {}, {}, {}, {}, {}};
      return {dsum, {}, {}, dsum.to(type), dsum.flatten(0, -2).sum(0), {}, {}};
    }
    const at::Tensor dy = rows_of(gradients[1]);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &sum = saved[0], &weight = saved[1], &statistics = saved[2];
    const c10::cuda::CUDAGuard on_device(sum.device());
    const Tokens tokens = tokens_of(sum, type);
    const bool sums_branch = adds && context->needs_input_grad(branch_bias_input);
    const at::Tensor dparameters = floats(sum, {sums_branch ? 3 : 2, tokens.C});
    const at::Tensor workspace = floats(sum, {layer_norm_workspace(tokens)});
    LayerNormBackward params{.dy = dy.const_data_ptr(),
                             .sum = sum.const_data_ptr<float>(),
                             .weight = weight.const_data_ptr<float>(),
                             .mean = statistics.const_data_ptr<float>(),
                             .rstd = statistics.const_data_ptr<float>() + tokens.rows,
                             .dparameters = dparameters.mutable_data_ptr<float>(),
                             .sums_branch = sums_branch,
                             .workspace = workspace.mutable_data_ptr<float>()};
    at::Tensor dx, dbranch;
    if (dsum.defined()) params.dsum = dsum.const_data_ptr<float>();
    if (context->needs_input_grad(x_input)) {
      dx = at::empty_like(sum);
      params.dx = dx.mutable_data_ptr<float>();
    }
    if (adds && context->needs_input_grad(branch_input)) {
      dbranch = at::empty_like(sum, type);
      params.dbranch = dbranch.mutable_data_ptr();
    }
    C10_CUDA_CHECK(launch_layer_norm(tokens, params, c10::cuda::getCurrentCUDAStream()));
    return {dx, dparameters[0], dparameters[1], dbranch, sums_branch ? dparameters[2] : at::Tensor(), {}, {}};
  }
};

}  // namespace

std::optional<AddNorm> fused_layer_norm(const torch::nn::LayerNormImpl& layer, const at::Tensor& x,
                                        const PendingAdd& pending) {
  if (!applies(layer, x, pending)) return std::nullopt;
  std::optional<at::Tensor> added, added_bias;
  if (pending.product.defined()) {
    added = rows_of(pending.product);
    added_bias = pending.bias;
  }
  const variable_list y = FusedLayerNorm::apply(rows_of(x), layer.weight, layer.bias, added, added_bias,
                                                layer.options.eps(), output_type());
  return AddNorm{.sum = y[0], .normalized = y[1]};
}

}  // namespace trainyard
