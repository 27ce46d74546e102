#include "layers/attention_heads.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/attention_heads_kernel.h"
#include "layers/cuda/rows.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Mismatched shapes are left to LibTorch, which reports them.
bool applies(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, std::int64_t heads) {
  return x.is_cuda() && x.dim() == 3 && x.numel() > 0 && element_of(x.scalar_type()) &&
         weight.scalar_type() == at::kFloat && weight.dim() == 2 && weight.size(0) % (3 * heads) == 0 &&
         weight.size(0) / 3 % 8 == 0 && bias.scalar_type() == at::kFloat && bias.device() == x.device() &&
         bias.dim() == 1 && bias.size(0) == weight.size(0);
}

// Splits qkv, which includes the bias, into heads. Its backward pass returns the gradients of qkv and of the bias.
class SplitHeads : public torch::autograd::Function<SplitHeads> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& qkv, const at::Tensor& bias,
                               std::int64_t heads) {
    context->save_for_backward({bias});
    const Heads parts = split_heads(qkv.variable_data(), heads);
    return {parts.queries.variable_data(), parts.keys.variable_data(), parts.values.variable_data()};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "attention_heads() has no second derivative");
    const at::Tensor bias = context->get_saved_variables()[0];
    const c10::cuda::CUDAGuard on_device(bias.device());
    const auto token_by_token = [](const at::Tensor& gradient) { return rows_of(gradient.transpose(1, 2).flatten(2)); };
    const at::Tensor dqueries = token_by_token(gradients[0]);
    const at::Tensor dkeys = token_by_token(gradients[1]);
    const at::Tensor dvalues = token_by_token(gradients[2]);
    const Activations shape = shape_of_rows(dqueries);
    const at::Tensor dqkv = at::empty({dqueries.size(0), dqueries.size(1), bias.size(0)}, dqueries.options());
    const at::Tensor dbias = at::empty_like(bias);
    const at::Tensor workspace = at::empty({attention_heads_workspace(shape)}, bias.options());
    const AttentionHeadsBackward params{.dqueries = dqueries.const_data_ptr(),
                                        .dkeys = dkeys.const_data_ptr(),
                                        .dvalues = dvalues.const_data_ptr(),
                                        .dqkv = dqkv.mutable_data_ptr(),
                                        .dbias = dbias.mutable_data_ptr<float>(),
                                        .workspace = workspace.mutable_data_ptr<float>()};
    C10_CUDA_CHECK(launch_attention_heads(shape, params, c10::cuda::getCurrentCUDAStream()));
    return {dqkv, dbias, {}};
  }
};

}  // namespace

std::optional<Heads> fused_attention_heads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                           std::int64_t heads) {
  if (!applies(x, weight, bias, heads)) return std::nullopt;
  const at::Tensor qkv = at::linear(x, weight, bias.detach());
  const variable_list parts = SplitHeads::apply(qkv, bias, heads);
  return Heads{parts[0], parts[1], parts[2]};
}

}  // namespace trainyard
