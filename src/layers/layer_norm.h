/// Layer normalisation together with the addition before it, which would otherwise read and write all of it again.
#pragma once

#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

namespace trainyard {

/// What a branch of a residual network adds to the stream: product + bias. Its last layer leaves its bias to the one
/// who adds, so that the bias's gradient is summed where the branch's gradient is written.
struct Branch {
  at::Tensor product;  ///< of the stream's shape; undefined: there is nothing to add
  at::Tensor bias;     ///< one number for each of the last dimension
};

/// The residual stream, and what the next branch gets of it.
struct NormalisedStream {
  at::Tensor x;
  at::Tensor normalised;
};

/// torch::nn::LayerNorm: the same options, names of parameters, numbers and errors. On a GPU, a float32 stream whose
/// last dimension alone is normalised, with float32 parameters, takes kernels of our own (fused.h); all
/// others LibTorch's operators. Where the kernels serve, the normalised numbers are of autocast's type, in which the
/// next layer wants them; LibTorch's are float32. The fused gradient cannot be differentiated again.
class LayerNormImpl : public torch::nn::LayerNormImpl {
 public:
  using torch::nn::LayerNormImpl::LayerNormImpl;

  /// x: any shape that ends in the layer's. Returns x with `branch` added, and that normalised.
  NormalisedStream add(const at::Tensor& x, const Branch& branch);
};

using LayerNorm = torch::nn::ModuleHolder<LayerNormImpl>;

}  // namespace trainyard
