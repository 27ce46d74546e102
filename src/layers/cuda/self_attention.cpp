#include "layers/self_attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/autocast.h"
#include "layers/cuda/rows.h"
#include "layers/cuda/short_attention_kernel.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Mismatched shapes are left to LibTorch, which reports them.
bool applies(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
             const SelfAttentionOptions& options) {
  if (!x.is_cuda() || x.dim() != 3 || x.numel() == 0 || x.size(1) > short_attention_max_tokens) return false;
  const at::ScalarType type = autocast_type(x.scalar_type());
  if (type != at::kHalf && type != at::kBFloat16) return false;
  const std::int64_t width = weight.dim() == 2 ? weight.size(0) / (3 * options.heads) : 0;
  const c10::cuda::CUDAGuard on_device(x.device());
  return (width == 32 || width == 64) && weight.size(0) == 3 * options.heads * width && options.dropout == 0 &&
         bias.scalar_type() == at::kFloat && bias.device() == x.device() && bias.dim() == 1 &&
         bias.size(0) == weight.size(0) && x.size(0) * options.heads <= std::numeric_limits<std::int32_t>::max() &&
         has_short_attention();
}

class ShortSelfAttention : public torch::autograd::Function<ShortSelfAttention> {
 public:
  // qkv includes the bias; the backward pass returns the gradients of both.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv, const at::Tensor& bias, std::int64_t heads,
                            bool causal) {
    const c10::cuda::CUDAGuard on_device(qkv.device());
    const at::Tensor y = at::empty({qkv.size(0), qkv.size(1), qkv.size(2) / 3}, qkv.options());
    const ShortAttentionForward params{.qkv = qkv.const_data_ptr(), .y = y.mutable_data_ptr()};
    C10_CUDA_CHECK(launch_short_attention(shape_of(qkv, heads, causal), params, c10::cuda::getCurrentCUDAStream()));
    context->save_for_backward({qkv, bias});
    context->saved_data["heads"] = heads;
    context->saved_data["causal"] = causal;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "self_attention() has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &qkv = saved[0], &bias = saved[1];
    const c10::cuda::CUDAGuard on_device(qkv.device());
    const at::Tensor dy = rows_of(gradients[0]);
    const at::Tensor dqkv = at::empty_like(qkv);
    const at::Tensor dbias = at::empty_like(bias);
    const at::Tensor workspace = at::empty({qkv.size(0), bias.size(0)}, bias.options());
    const ShortAttentionBackward params{.qkv = qkv.const_data_ptr(),
                                        .dy = dy.const_data_ptr(),
                                        .dqkv = dqkv.mutable_data_ptr(),
                                        .dbias = dbias.mutable_data_ptr<float>(),
                                        .workspace = workspace.mutable_data_ptr<float>()};
    const ShortAttention shape =
        shape_of(qkv, context->saved_data["heads"].toInt(), context->saved_data["causal"].toBool());
    C10_CUDA_CHECK(launch_short_attention(shape, params, c10::cuda::getCurrentCUDAStream()));
    return {dqkv, dbias, {}, {}};
  }

 private:
  static ShortAttention shape_of(const at::Tensor& qkv, std::int64_t heads, bool causal) {
    return {.samples = static_cast<std::uint32_t>(qkv.size(0)),
            .tokens = static_cast<std::uint32_t>(qkv.size(1)),
            .heads = static_cast<std::uint32_t>(heads),
            .width = static_cast<std::uint32_t>(qkv.size(2) / (3 * heads)),
            .causal = causal,
            .element = *element_of(qkv.scalar_type())};
  }
};

}  // namespace

std::optional<at::Tensor> fused_self_attention(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                               const SelfAttentionOptions& options) {
  if (!applies(x, weight, bias, options)) return std::nullopt;
  const at::Tensor qkv = at::linear(x, weight, bias.detach());
  return ShortSelfAttention::apply(rows_of(qkv), bias, options.heads, options.causal);
}

}  // namespace trainyard
