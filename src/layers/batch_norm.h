/// Batch normalization with ReLU, residual add and max pooling fused in, which saves passes over memory.
#pragma once

#include <optional>

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

#include "layers/synchronized_batch_norm.h"

namespace trainyard {

/// The input of a residual block, once for each branch. Both tensors have the same values and share
/// memory, but each has its own gradient: the fused backward pass adds the two where it reads them, which saves a pass.
struct Branches {
  at::Tensor main;      ///< for the convolutions
  at::Tensor shortcut;  ///< for the residual add
};

/// torch::nn::BatchNorm2d: the same options, names of parameters and buffers, results and errors. In training mode on a
/// GPU, float32, float16 or bfloat16 activations in channels-last memory format with a multiple of 16 bytes of channels
/// use fused kernels (fused.h); everything else uses LibTorch's operators. Statistics are float32; the result has the
/// input's type. The fused gradient has no second derivative.
class BatchNormImpl : public torch::nn::BatchNorm2dImpl {
 public:
  using torch::nn::BatchNorm2dImpl::BatchNorm2dImpl;

  /// x: N × channels × height × width. Returns a new tensor of its shape, type and memory format.
  at::Tensor forward(const at::Tensor& x);

  /// forward(x).relu()
  at::Tensor relu(const at::Tensor& x);

  /// (forward(x) + residual).relu(). residual: the shape and type of x.
  Branches add_relu(const at::Tensor& x, const at::Tensor& residual);

  /// max_pool(relu(x), size 3, stride 2, padding 1)
  Branches relu_pool(const at::Tensor& x);

  /// From now on its statistics in training are those of all processes (synchronized_batch_norm()). REQUIRES affine,
  /// track_running_stats and momentum.
  void synchronize(AllReduce all_reduce) { all_reduce_ = std::move(all_reduce); }
  /// In training, after synchronize().
  bool is_synchronized() const { return all_reduce_ && is_training(); }

 private:
  std::optional<Branches> fused_forward(const at::Tensor& x, const std::optional<at::Tensor>& residual, bool relu);
  const AllReduce* all_reduce() const { return is_synchronized() ? &all_reduce_ : nullptr; }

  AllReduce all_reduce_;
};

using BatchNorm = torch::nn::ModuleHolder<BatchNormImpl>;

}  // namespace trainyard
