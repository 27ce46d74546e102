#include <limits>

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/channels_last.h"
#include "layers/cuda/max_pool_kernel.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Window {
  std::int64_t size, stride, padding;

  std::int64_t count(std::int64_t along) const { return (along + 2 * padding - size) / stride + 1; }
};

// Invalid arguments are left to LibTorch, which reports them.
bool applies(const at::Tensor& x, const Window& window) {
  if (window.size < 2 || window.size > 3 || window.stride < 1 || window.padding < 0 ||
      window.padding > window.size / 2) {
    return false;
  }
  return takes_kernels(x) && std::min(x.size(2), x.size(3)) + 2 * window.padding >= window.size &&
         x.size(0) * (x.size(2) + 2) * (x.size(3) + 2) < std::numeric_limits<std::int32_t>::max();
}

Pooling pooling_of(const at::Tensor& x, const Window& window) {
  const auto number = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  return {.images = number(x.size(0)),
          .height = number(x.size(2)),
          .width = number(x.size(3)),
          .out_height = number(window.count(x.size(2))),
          .out_width = number(window.count(x.size(3))),
          .size = number(window.size),
          .stride = number(window.stride),
          .padding = number(window.padding),
          .C = number(x.size(1)),
          .element = shape_of(x).element};
}

class MaxPool : public torch::autograd::Function<MaxPool> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const Window& window) {
    const c10::cuda::CUDAGuard on_device(x.device());
    const Pooling pooling = pooling_of(x, window);
    const at::Tensor y = at::empty({x.size(0), x.size(1), pooling.out_height, pooling.out_width}, x.options(),
                                   at::MemoryFormat::ChannelsLast);
    const at::Tensor argmax = at::empty_like(y, at::kByte);
    const MaxPoolForward params{
        .x = x.const_data_ptr(), .y = y.mutable_data_ptr(), .argmax = argmax.mutable_data_ptr<std::uint8_t>()};
    C10_CUDA_CHECK(launch_max_pool(pooling, params, c10::cuda::getCurrentCUDAStream()));
    context->saved_data["sizes"] = x.sizes();
    context->saved_data["window"] = std::vector<std::int64_t>{window.size, window.stride, window.padding};
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
    const Pooling pooling = pooling_of(dx, {window[0], window[1], window[2]});
    C10_CUDA_CHECK(launch_max_pool(pooling, params, c10::cuda::getCurrentCUDAStream()));
    return {dx, {}};
  }
};

}  // namespace

std::optional<at::Tensor> fused_max_pool(const at::Tensor& x, std::int64_t size, std::int64_t stride,
                                         std::int64_t padding) {
  const Window window{size, stride, padding};
  if (!applies(x, window)) return std::nullopt;
  return MaxPool::apply(x, window);
}

}  // namespace trainyard
