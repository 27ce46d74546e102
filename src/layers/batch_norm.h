/// Batch normalisation together with what a network does next, which would otherwise read and write all of it again.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

namespace trainyard {

/// What a residual block hands on: the same numbers twice, in one memory, one for each use that the next block makes of
/// them. The gradients of the two are then added in the pass that reads them, and not in one of its own.
struct Branches {
  at::Tensor main;
  at::Tensor shortcut;
};

/// torch::nn::BatchNorm2d: the same options, names of parameters and buffers, numbers and errors. In training mode on a
/// GPU, float32, float16 or bfloat16 activations in channels-last memory format, whose channels fill vectors of 16
/// bytes, take kernels of our own (fused.h); all others LibTorch's operators. Statistics are float32, the
/// result is of the input's type. The fused gradient cannot be differentiated again.
class BatchNormImpl : public torch::nn::BatchNorm2dImpl {
 public:
  using torch::nn::BatchNorm2dImpl::BatchNorm2dImpl;

  /// x: N × channels × height × width. Returns a new tensor of its shape, type and memory format.
  at::Tensor forward(const at::Tensor& x);

  /// forward(x).relu()
  at::Tensor relu(const at::Tensor& x);

  /// (forward(x) + residual).relu(). residual: as x.
  Branches add_relu(const at::Tensor& x, const at::Tensor& residual);
};

using BatchNorm = torch::nn::ModuleHolder<BatchNormImpl>;

}  // namespace trainyard
