/// Where a BatchNorm takes kernels of our own.
#pragma once

#include <optional>
#include <vector>

#include <torch/nn/modules/batchnorm.h>

namespace trainyard {

/// Normalises `x` over the batch, updates the layer's running statistics, and in the same pass adds `residual`, if
/// there is one, and takes the ReLU, if `relu`; a residual comes with a ReLU. Gives the same bits in every run on one
/// kind of GPU. Does not wait for the device. Returns the result; with a residual twice, two tensors with one memory,
/// whose gradients the backward pass adds. Returns nothing, and has done nothing, for what these kernels do not do: see
/// applies() in fused_batch_norm_cuda.cpp; without a CUDA compiler that is everything.
std::vector<at::Tensor> fused_batch_norm(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                         const std::optional<at::Tensor>& residual, bool relu);

}  // namespace trainyard
