#include "layers/output_projection.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/autocast.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t alignment = 64;  // elements: 128 bytes of a 16-bit type

// at::linear() of a Projection, whose operands can be found.
class Product : public torch::autograd::Function<Product> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight) {
    context->save_for_backward({x, weight});
    return at::linear(x, weight);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &dy = gradients[0], &x = saved[0], &weight = saved[1];
    return {context->needs_input_grad(0) ? at::mm(dy, weight) : at::Tensor(),
            context->needs_input_grad(1) ? at::mm(dy.t(), x) : at::Tensor()};
  }
};

}  // namespace

at::Tensor output_projection(const at::Tensor& x, const at::Tensor& weight) {
  if (!x.is_cuda()) return at::linear(x, weight);
  const std::int64_t classes = weight.size(0);
  const std::int64_t padding = (alignment - classes % alignment) % alignment;
  const auto converted = [](const at::Tensor& tensor) { return tensor.to(autocast_type(tensor.scalar_type())); };
  // Padded after the conversion, not before it: half the bytes.
  at::Tensor padded = converted(weight);
  if (padding > 0) padded = at::constant_pad_nd(padded, {0, 0, 0, padding});
  const at::Tensor matrix = Product::apply(converted(x).reshape({-1, x.size(-1)}), padded);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = classes + padding;
  return matrix.view(sizes).narrow(-1, 0, classes);
}

std::optional<Projection> projection_of(const at::Tensor& matrix) {
  const auto* const node = dynamic_cast<const torch::autograd::CppNode<Product>*>(matrix.grad_fn().get());
  if (node == nullptr) return std::nullopt;
  const variable_list operands = node->ctx_.get_saved_variables();
  return Projection{.x = operands[0], .weight = operands[1]};
}

}  // namespace trainyard
