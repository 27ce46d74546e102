#include "layers/global_average_pool.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class GlobalAveragePool : public torch::autograd::Function<GlobalAveragePool> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->saved_data["sizes"] = x.sizes().vec();
    context->saved_data["format"] = static_cast<std::int64_t>(x.suggest_memory_format());
    return x.mean({2, 3});
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const std::vector<std::int64_t> sizes = context->saved_data["sizes"].toIntVector();
    const auto format = static_cast<at::MemoryFormat>(context->saved_data["format"].toInt());
    const at::Tensor of_each = gradients[0] / (sizes[2] * sizes[3]);
    return {at::empty(sizes, of_each.options(), format).copy_(of_each.unsqueeze(2).unsqueeze(3))};
  }
};

}  // namespace

at::Tensor global_average_pool(const at::Tensor& x) { return GlobalAveragePool::apply(x); }

}  // namespace trainyard
