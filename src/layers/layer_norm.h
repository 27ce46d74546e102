/// Layer normalization with the residual add before it fused in, which saves a pass over memory.
#pragma once

#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

namespace trainyard {

/// A deferred residual add: product + bias, the output of a branch's last linear layer. The norm adds the bias, so that
/// its gradient is summed in the pass that writes the gradient of the product.
struct PendingAdd {
  at::Tensor product;  ///< the shape of the residual stream; undefined: nothing to add
  at::Tensor bias;     ///< one value per element of the last dimension
};

struct AddNorm {
  at::Tensor sum;         ///< the residual stream
  at::Tensor normalized;  ///< the input of the next branch
};

/// torch::nn::LayerNorm: the same options, parameter names, results and errors. On a GPU, a float32 residual stream
/// with float32 parameters that is normalized over its last dimension only uses fused kernels (fused.h); everything
/// else uses LibTorch's operators. The fused kernels return `normalized` in autocast's type, which the next layer
/// takes; LibTorch's operators return float32. The fused gradient has no second derivative.
class LayerNormImpl : public torch::nn::LayerNormImpl {
 public:
  using torch::nn::LayerNormImpl::LayerNormImpl;

  /// x: any shape that ends in the layer's. Adds `pending` to x and normalizes the sum.
  AddNorm add_norm(const at::Tensor& x, const PendingAdd& pending);
};

using LayerNorm = torch::nn::ModuleHolder<LayerNormImpl>;

}  // namespace trainyard
