#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/channels_last.h"
#include "layers/cuda/max_pool_kernel.h"
#include "layers/cuda/pooling.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class MaxPool : public torch::autograd::Function<MaxPool> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Pooling& pooling) {
    const c10::cuda::CUDAGuard on_device(x.device());
    const at::Tensor y = at::empty({x.size(0), x.size(1), pooling.out_height, pooling.out_width}, x.options(),
                                   at::MemoryFormat::ChannelsLast);
    const at::Tensor argmax = at::empty_like(y, at::kByte);
    const MaxPoolForward params{
        .x = x.const_data_ptr(), .y = y.mutable_data_ptr(), .argmax = argmax.mutable_data_ptr<std::uint8_t>()};
    C10_CUDA_CHECK(launch_max_pool(pooling, params, c10::cuda::getCurrentCUDAStream()));
    context->saved_data["sizes"] = x.sizes();
    context->saved_data["window"] = std::vector<std::int64_t>{pooling.size, pooling.stride, pooling.padding};
    context->save_for_backward({argmax});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "max_pool() has no second derivative");
    const at::Tensor argmax = context->get_saved_variables()[0];
    const c10::cuda::CUDAGuard on_device(argmax.device());
    const at::Tensor dy = for_kernels(gradients[0]);
    const std::vector<std::int64_t> window = context->saved_data["window"].toIntVector();
    const at::Tensor dx =
        at::empty(context->saved_data["sizes"].toIntVector(), dy.options(), at::MemoryFormat::ChannelsLast);
    const MaxPoolBackward params{
        .dy = dy.const_data_ptr(), .argmax = argmax.const_data_ptr<std::uint8_t>(), .dx = dx.mutable_data_ptr()};
    const Pooling pooling = pooling_of(dx, window[0], window[1], window[2]).value();
    C10_CUDA_CHECK(launch_max_pool(pooling, params, c10::cuda::getCurrentCUDAStream()));
    return {dx, {}};
  }
};

}  // namespace

std::optional<at::Tensor> fused_max_pool(const at::Tensor& x, std::int64_t size, std::int64_t stride,
                                         std::int64_t padding) {
  const std::optional<Pooling> pooling = pooling_of(x, size, stride, padding);
  if (!pooling) return std::nullopt;
  return MaxPool::apply(x, *pooling);
}

}  // namespace trainyard
