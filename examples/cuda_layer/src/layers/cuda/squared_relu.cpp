#include <ATen/ops/empty_like.h>
#include <ATen/ops/relu.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "layers/cuda/squared_relu_kernel.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class SquaredRelu : public torch::autograd::Function<SquaredRelu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    const c10::cuda::CUDAGuard on_device(x.device());
    const at::Tensor y = at::empty_like(x);
    C10_CUDA_CHECK(launch_squared_relu(x.const_data_ptr<float>(), y.mutable_data_ptr<float>(), x.numel(),
                                       c10::cuda::getCurrentCUDAStream()));
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "squared_relu() has no second derivative");
    const at::Tensor x = context->get_saved_variables()[0];
    const c10::cuda::CUDAGuard on_device(x.device());
    const at::Tensor dy = gradients[0].contiguous();
    const at::Tensor dx = at::empty_like(x);
    C10_CUDA_CHECK(launch_squared_relu_gradient(dy.const_data_ptr<float>(), x.const_data_ptr<float>(),
                                                dx.mutable_data_ptr<float>(), x.numel(),
                                                c10::cuda::getCurrentCUDAStream()));
    return {dx};
  }
};

at::Tensor on_gpu(const at::Tensor& x) {
  if (x.scalar_type() != at::kFloat || !x.is_contiguous()) return x.relu().square();
  return SquaredRelu::apply(x);
}

TORCH_LIBRARY_IMPL(cuda_layer, AutogradCUDA, library) { library.impl("squared_relu", TORCH_FN(on_gpu)); }
TORCH_LIBRARY_IMPL(cuda_layer, CUDA, library) { library.impl("squared_relu", TORCH_FN(on_gpu)); }

}  // namespace
}  // namespace trainyard
