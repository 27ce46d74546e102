#include "layers/bias_gelu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/bias_gelu_kernel.h"
#include "layers/cuda/rows.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool applies(const at::Tensor& product, const at::Tensor& bias) {
  return has_rows(product) && bias.scalar_type() == at::kFloat && bias.device() == product.device() &&
         bias.dim() == 1 && bias.size(0) == product.size(-1) && bias.is_contiguous();
}

class BiasGelu : public torch::autograd::Function<BiasGelu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& product, const at::Tensor& bias, Gelu form) {
    const c10::cuda::CUDAGuard on_device(product.device());
    const at::Tensor y = at::empty_like(product);
    const BiasGeluForward params{.product = product.const_data_ptr(),
                                 .bias = bias.const_data_ptr<float>(),
                                 .tanh = form == Gelu::tanh,
                                 .y = y.mutable_data_ptr()};
    C10_CUDA_CHECK(launch_bias_gelu(shape_of_rows(product), params, c10::cuda::getCurrentCUDAStream()));
    context->save_for_backward({product, bias});
    context->saved_data["tanh"] = form == Gelu::tanh;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "bias_gelu() has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &product = saved[0], &bias = saved[1];
    const c10::cuda::CUDAGuard on_device(product.device());
    const at::Tensor dy = rows_of(gradients[0]);
    const at::Tensor dproduct = at::empty_like(product);
    const at::Tensor dbias = at::empty_like(bias);
    const at::Tensor workspace = at::empty({bias_gelu_workspace(shape_of_rows(product))}, bias.options());
    const BiasGeluBackward params{.dy = dy.const_data_ptr(),
                                  .product = product.const_data_ptr(),
                                  .bias = bias.const_data_ptr<float>(),
                                  .tanh = context->saved_data["tanh"].toBool(),
                                  .dproduct = dproduct.mutable_data_ptr(),
                                  .dbias = dbias.mutable_data_ptr<float>(),
                                  .workspace = workspace.mutable_data_ptr<float>()};
    C10_CUDA_CHECK(launch_bias_gelu(shape_of_rows(product), params, c10::cuda::getCurrentCUDAStream()));
    return {dproduct, dbias, {}};
  }
};

}  // namespace

std::optional<at::Tensor> fused_bias_gelu(const at::Tensor& product, const at::Tensor& bias, Gelu form) {
  if (!applies(product, bias)) return std::nullopt;
  return BiasGelu::apply(rows_of(product), bias, form);
}

}  // namespace trainyard
