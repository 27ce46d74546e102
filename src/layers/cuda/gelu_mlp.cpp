#include <limits>
#include <map>
#include <mutex>

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/autocast.h"
#include "layers/bias_gelu.h"
#include "layers/cuda/bias_gelu_kernel.h"
#include "layers/cuda/gelu_product.h"
#include "layers/cuda/least_time.h"
#include "layers/cuda/rows.h"
#include "layers/fused.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool may_measure() {
  const at::Context& context = at::globalContext();
  return context.benchmarkCuDNN() && !context.deterministicCuDNN();
}

// Whether the product can read it: a matrix or the transpose of one.
bool is_dense(const at::Tensor& weight) { return weight.is_contiguous() || weight.t().is_contiguous(); }

// Mismatched shapes are left to LibTorch, which reports them.
bool applies(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& projection) {
  if (!x.is_cuda() || x.dim() < 2 || x.numel() == 0) return false;
  if (weight.dim() != 2 || bias.dim() != 1 || projection.dim() != 2) return false;
  if (weight.size(1) != x.size(-1) || bias.size(0) != weight.size(0) || projection.size(1) != weight.size(0)) {
    return false;
  }
  const auto fits = [](std::int64_t width) { return width > 0 && width % 8 == 0; };
  if (!fits(weight.size(0)) || !fits(weight.size(1)) || !fits(projection.size(0))) return false;
  const at::ScalarType type = autocast_type(x.scalar_type());
  if (type != at::kHalf && type != at::kBFloat16) return false;
  const auto serves = [&](const at::Tensor& parameter) {
    return autocast_type(parameter.scalar_type()) == type && parameter.device() == x.device() &&
           begins_at_a_vector(parameter);
  };
  return serves(weight) && serves(bias) && serves(projection) && is_dense(weight) && is_dense(projection) &&
         bias.is_contiguous();
}

// The operands of one call in the type of its products, except for the bias; x is a matrix.
struct Operands {
  at::Tensor x, weight, bias, projection;

  at::Tensor empty_hidden() const { return at::empty({x.size(0), weight.size(0)}, x.options()); }
};

struct Gradient {
  at::Tensor of_product, of_bias;
};

GeluProduct::Arguments forward_arguments(const Operands& operands, const at::Tensor& input, const at::Tensor& y) {
  return {.x = operands.x,
          .weight = operands.weight,
          .y = y,
          .input = input,
          .bias = operands.bias.to(operands.x.scalar_type())};
}

GeluProduct::Arguments backward_arguments(GeluEpilogue epilogue, const at::Tensor& dy, const at::Tensor& projection,
                                          const at::Tensor& input) {
  const bool sums = epilogue == GeluEpilogue::gradient_and_sum;
  return {.x = dy,
          .weight = projection.t(),
          .y = at::empty_like(input),
          .input = input,
          .bias = sums ? at::empty({input.size(1)}, input.options()) : at::Tensor()};
}

Gradient run(const GeluProduct& product, const at::Tensor& dy, const at::Tensor& projection, const at::Tensor& input) {
  const GeluProduct::Arguments arguments = backward_arguments(product.epilogue(), dy, projection, input);
  product.run(arguments);
  const bool is_summed = arguments.bias.defined();
  return {arguments.y, is_summed ? arguments.bias : arguments.y.sum(0, /*keepdim=*/false, at::kFloat)};
}

// The same with bias_gelu()'s kernel; `input` includes the bias.
Gradient run_kernel(const at::Tensor& dy, const at::Tensor& projection, const at::Tensor& input) {
  const at::Tensor dgelu = at::mm(dy, projection);
  const at::TensorOptions floats = input.options().dtype(at::kFloat);
  const at::Tensor no_bias = at::zeros({input.size(1)}, floats);
  const at::Tensor dproduct = at::empty_like(input);
  const at::Tensor dbias = at::empty_like(no_bias);
  const Activations shape = shape_of_rows(input);
  const at::Tensor workspace = at::empty({bias_gelu_workspace(shape)}, floats);
  const BiasGeluBackward params{.dy = dgelu.const_data_ptr(),
                                .product = input.const_data_ptr(),
                                .bias = no_bias.const_data_ptr<float>(),
                                .tanh = true,
                                .dproduct = dproduct.mutable_data_ptr(),
                                .dbias = dbias.mutable_data_ptr<float>(),
                                .workspace = workspace.mutable_data_ptr<float>()};
  C10_CUDA_CHECK(launch_bias_gelu(shape, params, c10::cuda::getCurrentCUDAStream()));
  return {dproduct, dbias};
}

struct Shape {
  std::int64_t rows, in, hidden, out;
  bool weight_is_contiguous, projection_is_contiguous;
  at::ScalarType type;
  at::DeviceIndex device;

  auto operator<=>(const Shape&) const = default;
};

Shape shape_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& projection, at::ScalarType type) {
  return {.rows = x.numel() / x.size(-1),
          .in = weight.size(1),
          .hidden = weight.size(0),
          .out = projection.size(0),
          .weight_is_contiguous = weight.is_contiguous(),
          .projection_is_contiguous = projection.is_contiguous(),
          .type = type,
          .device = x.device().index()};
}

// The fastest products of a shape.
struct Products {
  GeluProduct forward;
  std::optional<GeluProduct> backward;  // empty: run_kernel()
};

struct Fastest {
  std::optional<GeluProduct> product;
  float time = std::numeric_limits<float>::infinity();

  template <typename Run>
  void try_each(const std::vector<GeluProduct>& products, const Run& run) {
    for (const GeluProduct& candidate : products) {
      const float taken = least_time([&] { run(candidate); });
      if (taken >= time) continue;
      time = taken;
      product = candidate;
    }
  }
};

// Empty if LibTorch's products with bias_gelu() between them are faster.
std::optional<Products> fastest_of(const Operands& operands) {
  const at::NoGradGuard no_grad;
  const at::Tensor input = operands.empty_hidden(), hidden = operands.empty_hidden();
  const GeluProduct::Arguments arguments = forward_arguments(operands, input, hidden);
  Fastest forward;
  forward.try_each(GeluProduct::recommended(GeluEpilogue::gelu, arguments),
                   [&](const GeluProduct& product) { product.run(arguments); });
  if (!forward.product) return std::nullopt;
  const at::Tensor dy = at::linear(hidden, operands.projection);
  const float kernel_time = least_time([&] { run_kernel(dy, operands.projection, input); });
  Fastest backward{.product = std::nullopt, .time = kernel_time};
  for (const GeluEpilogue epilogue : {GeluEpilogue::gradient, GeluEpilogue::gradient_and_sum}) {
    backward.try_each(GeluProduct::recommended(epilogue, backward_arguments(epilogue, dy, operands.projection, input)),
                      [&](const GeluProduct& product) { run(product, dy, operands.projection, input); });
  }
  const float separate_time =
      least_time([&] { bias_gelu(at::linear(operands.x, operands.weight), operands.bias, Gelu::tanh); });
  if (separate_time + kernel_time <= forward.time + backward.time) return std::nullopt;
  return Products{*forward.product, backward.product};
}

// Measures each shape once. The products that it returns remain valid.
class FastestProducts {
 public:
  // Null if LibTorch's products are faster, or if nothing is known during a capture. make_operands() returns operands
  // of this shape.
  template <typename MakeOperands>
  const Products* measured(const Shape& shape, at::Device device, const MakeOperands& make_operands) {
    const std::lock_guard lock(mutex_);
    auto found = products_.find(shape);
    if (found == products_.end()) {
      if (is_capturing(device)) return nullptr;
      found = products_.emplace(shape, fastest_of(make_operands())).first;
    }
    return found->second ? &*found->second : nullptr;
  }

  // REQUIRES that measured() returned them.
  const Products& known(const Shape& shape) {
    const std::lock_guard lock(mutex_);
    return *products_.at(shape);
  }

 private:
  std::mutex mutex_;
  std::map<Shape, std::optional<Products>> products_;
};

FastestProducts& fastest_products() {
  static FastestProducts products;
  return products;
}

// Of x · weightᵀ, laid out like the weight.
at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight) {
  return weight.is_contiguous() ? at::mm(dy.t(), x) : at::mm(x.t(), dy).t();
}

class FusedGeluMlp : public torch::autograd::Function<FusedGeluMlp> {
 public:
  // Positions of the inputs.
  enum Input : std::uint8_t { x_input, weight_input, bias_input, projection_input };

  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const at::Tensor& projection, const Products& products) {
    const Operands operands{x, weight, bias, projection};
    const at::Tensor input = operands.empty_hidden(), hidden = operands.empty_hidden();
    products.forward.run(forward_arguments(operands, input, hidden));
    context->save_for_backward({x, weight, projection, input, hidden});
    return at::linear(hidden, projection);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "gelu_mlp() has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &projection = saved[2], &input = saved[3], &hidden = saved[4];
    const c10::cuda::CUDAGuard on_device(x.device());
    const at::Tensor dy = rows_of(gradients[0]);
    const auto needs = [&](Input position) { return context->needs_input_grad(position); };
    variable_list results(5);
    if (needs(projection_input)) results[projection_input] = weight_gradient(dy, hidden, projection);
    if (!needs(x_input) && !needs(weight_input) && !needs(bias_input)) return results;
    const Products& products = fastest_products().known(shape_of(x, weight, projection, x.scalar_type()));
    const Gradient gradient =
        products.backward ? run(*products.backward, dy, projection, input) : run_kernel(dy, projection, input);
    if (needs(x_input)) results[x_input] = at::mm(gradient.of_product, weight);
    if (needs(weight_input)) results[weight_input] = weight_gradient(gradient.of_product, x, weight);
    if (needs(bias_input)) results[bias_input] = gradient.of_bias;
    return results;
  }
};

}  // namespace

std::optional<at::Tensor> fused_gelu_mlp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                         const at::Tensor& projection) {
  if (!may_measure() || !applies(x, weight, bias, projection)) return std::nullopt;
  const c10::cuda::CUDAGuard on_device(x.device());
  const auto operands = [&] {
    return Operands{rows_of(product_operand(x)).flatten(0, -2), product_operand(weight), bias,
                    product_operand(projection)};
  };
  const Shape shape = shape_of(x, weight, projection, autocast_type(x.scalar_type()));
  const Products* const products = fastest_products().measured(shape, x.device(), operands);
  if (products == nullptr) return std::nullopt;
  const Operands own = operands();
  const at::Tensor y = FusedGeluMlp::apply(own.x, own.weight, own.bias, own.projection, *products);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = y.size(1);
  return y.view(sizes);
}

}  // namespace trainyard
